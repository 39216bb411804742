//! Macros that count: they write out the arms of a select over 2, 8 or 64 channels.
//!
//! Why a macro and not a loop over a slice: a program writes its arms out, and `tokio::select!` has no other form.
//! 64 is also its limit, so wider selects belong to the streams in `peers/streams.rs`.

/// Calls `$then!{ $args; 0 a0, 1 a1, .. }` with as many numbered names as asked for.
macro_rules! numbered {
    (2, $then:ident, $($args:tt)*) => { $then! { $($args)*; 0 a0, 1 a1 } };
    (8, $then:ident, $($args:tt)*) => {
        $then! { $($args)*; 0 a0, 1 a1, 2 a2, 3 a3, 4 a4, 5 a5, 6 a6, 7 a7 }
    };
    (64, $then:ident, $($args:tt)*) => {
        $then! { $($args)*;
            0 a0, 1 a1, 2 a2, 3 a3, 4 a4, 5 a5, 6 a6, 7 a7,
            8 a8, 9 a9, 10 a10, 11 a11, 12 a12, 13 a13, 14 a14, 15 a15,
            16 a16, 17 a17, 18 a18, 19 a19, 20 a20, 21 a21, 22 a22, 23 a23,
            24 a24, 25 a25, 26 a26, 27 a27, 28 a28, 29 a29, 30 a30, 31 a31,
            32 a32, 33 a33, 34 a34, 35 a35, 36 a36, 37 a37, 38 a38, 39 a39,
            40 a40, 41 a41, 42 a42, 43 a43, 44 a44, 45 a45, 46 a46, 47 a47,
            48 a48, 49 a49, 50 a50, 51 a51, 52 a52, 53 a53, 54 a54, 55 a55,
            56 a56, 57 a57, 58 a58, 59 a59, 60 a60, 61 a61, 62 a62, 63 a63
        }
    };
}

/// Calls `$then!{ $args; 0 a0 b0, 1 a1 b1, .. }`: a receiver and a sender for each number.
macro_rules! numbered_pairs {
    (1, $then:ident, $($args:tt)*) => { $then! { $($args)*; 0 a0 b0 } };
    (4, $then:ident, $($args:tt)*) => { $then! { $($args)*; 0 a0 b0, 1 a1 b1, 2 a2 b2, 3 a3 b3 } };
    (32, $then:ident, $($args:tt)*) => {
        $then! { $($args)*;
            0 a0 b0, 1 a1 b1, 2 a2 b2, 3 a3 b3, 4 a4 b4, 5 a5 b5, 6 a6 b6, 7 a7 b7,
            8 a8 b8, 9 a9 b9, 10 a10 b10, 11 a11 b11, 12 a12 b12, 13 a13 b13, 14 a14 b14, 15 a15 b15,
            16 a16 b16, 17 a17 b17, 18 a18 b18, 19 a19 b19, 20 a20 b20, 21 a21 b21, 22 a22 b22, 23 a23 b23,
            24 a24 b24, 25 a25 b25, 26 a26 b26, 27 a27 b27, 28 a28 b28, 29 a29 b29, 30 a30 b30, 31 a31 b31
        }
    };
}

pub(crate) use {numbered, numbered_pairs};
