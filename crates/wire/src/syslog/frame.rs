//! Where a message ends in a stream of them: octet counting (`11 <13>1 - - …`) and one line each,
//! as RFC 6587 has them, told apart message by message.

/// Digits of the longest count.
const MAX_DIGITS: usize = 10;

/// What a stream's unread bytes begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message, and how many bytes it takes with its framing.
    Message(&'a [u8], usize),
    /// Not yet a whole message.
    Partial,
    /// A count past the limit: the stream cannot be followed any further.
    TooLong(usize),
}

/// Takes the next message off `unread`. A line longer than `limit` bytes is cut there, and what
/// follows is a message of its own.
pub fn next_frame(unread: &[u8], limit: usize) -> Frame<'_> {
    match counted(unread) {
        Counted::Length { length, .. } if length > limit => Frame::TooLong(length),
        Counted::Length { digits, length } => match unread.get(digits + 1..digits + 1 + length) {
            Some(message) => Frame::Message(message, digits + 1 + length),
            None => Frame::Partial,
        },
        Counted::Unfinished => Frame::Partial,
        Counted::No => line(unread, limit),
    }
}

enum Counted {
    Length {
        digits: usize,
        length: usize,
    },
    /// Digits that may still turn out to be a count.
    Unfinished,
    No,
}

fn counted(unread: &[u8]) -> Counted {
    if !unread
        .first()
        .is_some_and(|byte| (b'1'..=b'9').contains(byte))
    {
        return Counted::No;
    }
    let digits = unread
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let length = unread[..digits].iter().try_fold(0_usize, |number, digit| {
        number
            .checked_mul(10)?
            .checked_add(usize::from(digit - b'0'))
    });
    match (unread.get(digits), length) {
        (None, _) if digits <= MAX_DIGITS => Counted::Unfinished,
        (Some(b' '), Some(length)) if digits <= MAX_DIGITS => Counted::Length { digits, length },
        _ => Counted::No,
    }
}

fn line(unread: &[u8], limit: usize) -> Frame<'_> {
    let within = &unread[..unread.len().min(limit + 1)];
    match within.iter().position(|byte| *byte == b'\n') {
        Some(end) => Frame::Message(&unread[..end], end + 1),
        None if unread.len() > limit => Frame::Message(&unread[..limit], limit),
        None => Frame::Partial,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_framings_are_told_apart() {
        let cases: [(&[u8], Frame<'_>); 10] = [
            (b"5 hello6 world!", Frame::Message(b"hello", 7)),
            (b"<13>hello\n<13>", Frame::Message(b"<13>hello", 10)),
            (b"5 hell", Frame::Partial),
            (b"5", Frame::Partial),
            (b"<13>hell", Frame::Partial),
            (b"", Frame::Partial),
            (b"99 too long", Frame::TooLong(99)),
            (b"2024-01-02 x\n", Frame::Message(b"2024-01-02 x", 13)),
            (
                b"0123456789 0123456789 x",
                Frame::Message(b"0123456789 012345678", 20),
            ),
            (b"\n<13>", Frame::Message(b"", 1)),
        ];
        for (unread, expected) in cases {
            assert_eq!(next_frame(unread, 20), expected, "{unread:?}");
        }
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            messages in proptest::collection::vec(("[<a-z][ -~]{0,15}", any::<bool>()), 1..6),
        ) {
            let mut stream = Vec::new();
            for (message, counted) in &messages {
                match counted {
                    true => stream.extend(format!("{} {message}", message.len()).bytes()),
                    false => stream.extend(format!("{message}\n").bytes()),
                }
            }
            let mut unread = stream.as_slice();
            for (message, _) in &messages {
                let Frame::Message(found, taken) = next_frame(unread, 20) else {
                    panic!("no message in {unread:?}");
                };
                prop_assert_eq!(found, message.as_bytes());
                unread = &unread[taken..];
            }
            prop_assert!(unread.is_empty());
        }

        #[test]
        fn a_stream_of_anything_is_followed_to_its_end(stream in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut unread = stream.as_slice();
            while let Frame::Message(message, taken) = next_frame(unread, 20) {
                prop_assert!(taken > 0 && taken <= unread.len() && message.len() <= 20);
                unread = &unread[taken..];
            }
        }
    }
}
