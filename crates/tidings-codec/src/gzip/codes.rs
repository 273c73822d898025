//! The fixed Huffman codes (RFC 1951 §3.2.6), with their bits in the order of the stream.

use super::bits::BitWriter;

/// Code and number of its bits for each literal, the end of a block, and each class of lengths.
const LITERALS: [(u16, u8); 288] = literals();

pub(super) fn literal(bits: &mut BitWriter<'_>, byte: u8) {
    symbol(bits, usize::from(byte));
}

pub(super) fn end_of_block(bits: &mut BitWriter<'_>) {
    symbol(bits, 256);
}

/// The `length` bytes (3 to 258) that begin `distance` bytes before (1 to 32,768).
pub(super) fn copy(bits: &mut BitWriter<'_>, length: usize, distance: usize) {
    let over = (length - 3) as u32;
    match over {
        0..8 => symbol(bits, 257 + over as usize),
        255 => symbol(bits, 285),
        _ => {
            // Four classes for each power of two.
            let extra = over.ilog2() - 2;
            let class = 4 * (extra - 1) + ((over >> extra) & 3);
            symbol(bits, 265 + class as usize);
            bits.put(over & ((1 << extra) - 1), extra);
        }
    }
    let over = (distance - 1) as u32;
    match over {
        0..4 => bits.put(over.reverse_bits() >> 27, 5),
        _ => {
            // Two classes for each power of two.
            let extra = over.ilog2() - 1;
            let class = 2 * (extra + 1) + ((over >> extra) & 1);
            bits.put(class.reverse_bits() >> 27, 5);
            bits.put(over & ((1 << extra) - 1), extra);
        }
    }
}

fn symbol(bits: &mut BitWriter<'_>, symbol: usize) {
    let (code, count) = LITERALS[symbol];
    bits.put(u32::from(code), u32::from(count));
}

const fn literals() -> [(u16, u8); 288] {
    let mut table = [(0, 0); 288];
    let mut symbol = 0;
    while symbol < 288 {
        let at = symbol as u16;
        let (code, count) = match symbol {
            0..144 => (0x30 + at, 8),
            144..256 => (0x190 + (at - 144), 9),
            256..280 => (at - 256, 7),
            _ => (0xc0 + (at - 280), 8),
        };
        table[symbol] = (code.reverse_bits() >> (16 - count), count as u8);
        symbol += 1;
    }
    table
}
