//! The arithmetic: a CRC is the remainder of the text, as a polynomial over two elements, divided
//! by another one. Bits are reversed, so the term without `x` is the highest bit. To put `n` zero
//! bytes behind a text multiplies its remainder by `x` to the power of `8n`; and as that polynomial
//! is primitive, the powers repeat after 2^32 - 1, so that there is one for a negative `n` too.

/// CRC-32 and length of a text, as gzip's trailer has them (RFC 1952 §2.3.1). Sums of parts that
/// follow one another add up to that of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    crc: u32,
    length: u64,
}

impl Checksum {
    /// That of `text`.
    pub fn of(text: &[u8]) -> Self {
        Self { crc: crc(text), length: text.len() as u64 }
    }

    /// That of this text with the one of `next` behind it.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self {
            crc: shift(self.crc, next.length) ^ next.crc,
            length: self.length.wrapping_add(next.length),
        }
    }

    /// The CRC-32.
    pub const fn crc(self) -> u32 {
        self.crc
    }

    /// The number of bytes.
    pub const fn length(self) -> u64 {
        self.length
    }
}

/// How far the text of one reader is from a common one that it reads along with: the same however
/// much both grow. Eight bytes, so that each reader can have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lead {
    crc: u32,
    /// Modulo 2^32.
    length: u32,
}

impl Lead {
    /// That of a reader whose text so far has the checksum `own`, where the common one has
    /// `common`.
    pub fn new(own: Checksum, common: Checksum) -> Self {
        Self {
            crc: unshift(own.crc ^ common.crc, common.length),
            length: own.length.wrapping_sub(common.length) as u32,
        }
    }

    /// The checksum of the reader's text, once the common one has `common`. Its length is right
    /// modulo 2^32, as a trailer has it.
    pub fn at(self, common: Checksum) -> Checksum {
        let length = u64::from(self.length.wrapping_add(common.length as u32));
        Checksum { crc: shift(self.crc, common.length) ^ common.crc, length }
    }
}

/// The remainder `crc` with `bytes` zero bytes behind it.
fn shift(crc: u32, bytes: u64) -> u32 {
    multiply(power(exponent(bytes)), crc)
}

/// Undoes [`shift`].
fn unshift(crc: u32, bytes: u64) -> u32 {
    multiply(power((PERIOD - exponent(bytes)) % PERIOD), crc)
}

fn exponent(bytes: u64) -> u64 {
    bytes % PERIOD * 8 % PERIOD
}

/// `x` to the power of `exponent`.
fn power(mut exponent: u64) -> u32 {
    let mut product = ONE;
    for square in SQUARES {
        if exponent & 1 == 1 {
            product = multiply(square, product);
        }
        exponent >>= 1;
        if exponent == 0 {
            break;
        }
    }
    product
}

/// The product of two remainders.
const fn multiply(mut a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    while a != 0 {
        if a & ONE != 0 {
            product ^= b;
        }
        a <<= 1;
        b = times_x(b);
    }
    product
}

const fn times_x(a: u32) -> u32 {
    if a & 1 == 1 { (a >> 1) ^ POLYNOMIAL } else { a >> 1 }
}

fn crc(text: &[u8]) -> u32 {
    let mut crc = !0;
    let (eights, rest) = text.as_chunks::<8>();
    for eight in eights {
        let [a, b, c, d, e, f, g, h] = *eight;
        let first = crc ^ u32::from_le_bytes([a, b, c, d]);
        let second = u32::from_le_bytes([e, f, g, h]);
        crc = 0;
        for (place, byte) in first.to_le_bytes().into_iter().enumerate() {
            crc ^= TABLES[7 - place][usize::from(byte)];
        }
        for (place, byte) in second.to_le_bytes().into_iter().enumerate() {
            crc ^= TABLES[3 - place][usize::from(byte)];
        }
    }
    for byte in rest {
        crc = (crc >> 8) ^ TABLES[0][usize::from(crc as u8 ^ byte)];
    }
    !crc
}

/// What the powers of `x` are divided by, without its highest term.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// `x` to the power of zero.
const ONE: u32 = 1 << 31;
/// Number of powers of `x` before they repeat.
const PERIOD: u64 = u32::MAX as u64;

/// `x` to the power of 1, 2, 4, 8 and so on.
const SQUARES: [u32; 32] = {
    let mut squares = [times_x(ONE); 32];
    let mut at = 1;
    while at < 32 {
        squares[at] = multiply(squares[at - 1], squares[at - 1]);
        at += 1;
    }
    squares
};

/// Remainders of each byte with zero to seven zero bytes behind it.
static TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = times_x(crc);
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[zeros - 1][byte];
            tables[zeros][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
};
