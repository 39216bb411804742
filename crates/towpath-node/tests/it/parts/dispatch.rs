//! `dispatch`: one answer for each rider, one ride for each driver.
