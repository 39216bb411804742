//! Sagas.
