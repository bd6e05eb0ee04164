//! Bit-plane coding of one macroblock (sections 12 and 16).

use super::bits::{Code, Cursor, Words, align, push_bits};
use super::{MACROBLOCK, Result};

// --- the two run-length codes -------------------------------------------------------------------------------

/// Significance and signs of the insignificant coefficients, in order: `None` stays insignificant, `Some(true)`
/// becomes significant with a negative sign. Returns the code with its terminator (section 12.3).
pub fn write_a_code(events: &[Option<bool>]) -> Vec<bool> {
    let mut out = Vec::new();
    let mut k = 3;
    let mut count = 0;
    for &event in events {
        match event {
            None => {
                count += 1;
                if count == 1 << k {
                    out.push(false);
                    k += 1;
                    count = 0;
                }
            }
            Some(negative) => {
                out.push(true);
                if k > 0 {
                    push_bits(&mut out, k, count);
                    k -= 1;
                }
                out.push(negative);
                count = 0;
            }
        }
    }
    out.push(true);
    push_bits(&mut out, k, count);
    out.push(true);
    out
}

/// Reads an A-code for `n` coefficients.
pub fn read_a_code(cursor: &mut Cursor, n: usize) -> Result<Vec<Option<bool>>> {
    let mut events = Vec::new();
    let mut k = 3;
    let mut zeros: u64 = 0;
    let mut one = false;
    for _ in 0..n {
        while zeros == 0 && !one {
            if cursor.next_bit()? {
                if k > 0 {
                    zeros = cursor.next_bits(k)? as u64;
                    k -= 1;
                }
                one = true;
            } else {
                zeros = 1 << k;
                k = (k + 1).min(32);
            }
        }
        if zeros > 0 {
            zeros -= 1;
            events.push(None);
        } else {
            one = false;
            events.push(Some(cursor.next_bit()?));
        }
    }
    Ok(events)
}

/// Signs of the newly significant coefficients, true = negative (section 12.4).
pub fn write_b_code(signs: &[bool]) -> Vec<bool> {
    let mut out = Vec::new();
    let mut k = 0;
    let mut j = 0;
    while j < signs.len() {
        let mut c = 0;
        while j + c < signs.len() && c < 1 << k && signs[j + c] {
            c += 1;
        }
        if c == 1 << k {
            out.push(true);
            k += 1;
            j += c;
        } else {
            out.push(false);
            if k > 0 {
                push_bits(&mut out, k, c);
                k -= 1;
            }
            j += c + 1;
        }
    }
    out
}

/// Reads the signs of a B-code one after the other.
pub struct BReader<'a> {
    pub cursor: Cursor<'a>,
    k: usize,
    ones: u64,
    zero: bool,
}

impl<'a> BReader<'a> {
    pub fn new(code: Code<'a>, pos: usize) -> BReader<'a> {
        BReader { cursor: Cursor { code, pos }, k: 0, ones: 0, zero: false }
    }

    pub fn next_sign(&mut self) -> Result<bool> {
        if self.ones > 0 {
            self.ones -= 1;
            return Ok(true);
        }
        if self.zero {
            self.zero = false;
            return Ok(false);
        }
        if self.cursor.next_bit()? {
            self.ones = (1 << self.k) - 1;
            self.k = (self.k + 1).min(32);
            return Ok(true);
        }
        let mut c = 0;
        if self.k > 0 {
            c = self.cursor.next_bits(self.k)? as u64;
            self.k -= 1;
        }
        if c > 0 {
            self.ones = c - 1;
            self.zero = true;
            return Ok(true);
        }
        Ok(false)
    }
}

// --- reading a macroblock -----------------------------------------------------------------------------------

/// What the words of a macroblock yielded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The coefficients after the last plane that could be read whole.
    pub values: Vec<i32>,
    /// Bit planes announced, 1..=32; 0 if not even that could be read.
    pub planes: u32,
    /// Bit planes read.
    pub planes_read: u32,
    /// Bit position behind the last plane that was read.
    pub end: usize,
    /// Why reading stopped early.
    pub error: Option<String>,
}

#[derive(Clone)]
struct State {
    magnitude: Vec<u32>,
    negative: Vec<bool>,
    significant: Vec<bool>,
}

/// Reads the `n` coefficients of a macroblock, plane by plane, as far as its bits reach (section 12.2).
pub fn decode_partial(code: Code, n: usize) -> Decoded {
    let mut state = State { magnitude: vec![0; n], negative: vec![false; n], significant: vec![false; n] };
    let mut out = Decoded { values: vec![0; n], planes: 0, planes_read: 0, end: 0, error: None };
    match code.bits(0, 5) {
        Ok(0) => out.planes = 32,
        Ok(planes) => out.planes = planes as u32,
        Err(error) => out.error = Some(error),
    }
    out.end = 5;
    for p in (0..out.planes).rev() {
        let mut next = state.clone();
        match decode_plane(code, out.end, p, &mut next) {
            Ok(end) => {
                state = next;
                out.planes_read += 1;
                out.end = end;
            }
            Err(error) => {
                out.error = Some(format!("bit plane {p}: {error}"));
                break;
            }
        }
    }
    for i in 0..n {
        let m = state.magnitude[i] as i32;
        out.values[i] = if state.negative[i] { m.wrapping_neg() } else { m };
    }
    out
}

/// Reads a macroblock whose planes must all be there.
pub fn decode(words: &[u32], n: usize) -> Result<Vec<i32>> {
    let decoded = decode_partial(Code { words, bits: 32 * words.len() }, n);
    match decoded.error {
        None => Ok(decoded.values),
        Some(error) => Err(error),
    }
}

fn decode_plane(code: Code, pos: usize, p: u32, state: &mut State) -> Result<usize> {
    let n = state.magnitude.len();
    let insignificant: Vec<usize> = (0..n).filter(|&i| !state.significant[i]).collect();
    let refined: Vec<usize> = (0..n).filter(|&i| state.significant[i]).collect();
    let mut events = Vec::new();
    let refinement;
    if code.bit(pos)? {
        let code_len = code.bits(pos + 1, 15)?;
        let mut cursor = Cursor { code, pos: pos + 16 };
        events = read_a_code(&mut cursor, insignificant.len())?;
        refinement = align(pos + 16 + code_len);
    } else {
        let sig_len = code.bits(pos + 1, 15)?;
        let run_length_signs = code.bit(pos + 16)?;
        let sign_len = code.bits(pos + 17, 15)?;
        let sign_pos = if run_length_signs { pos + 32 } else { align(pos + 32) };
        let significance = align(sign_pos + sign_len);
        let mut b_reader = BReader::new(code, sign_pos);
        let mut plain_signs = 0;
        for j in 0..insignificant.len() {
            if !code.bit(significance + j)? {
                events.push(None);
            } else if run_length_signs {
                events.push(Some(b_reader.next_sign()?));
            } else {
                events.push(Some(code.bit(sign_pos + plain_signs)?));
                plain_signs += 1;
            }
        }
        refinement = align(significance + sig_len);
    }
    for (&i, event) in insignificant.iter().zip(events) {
        if let Some(negative) = event {
            state.significant[i] = true;
            state.negative[i] = negative;
            state.magnitude[i] = 1 << p;
        }
    }
    for (j, &i) in refined.iter().enumerate() {
        if code.bit(refinement + j)? {
            state.magnitude[i] |= 1 << p;
        }
    }
    Ok(align(refinement + refined.len()))
}

// --- writing a macroblock -----------------------------------------------------------------------------------

/// What stands in the bits between the fields of a macroblock, which no reader looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// The leftovers of libPGF's scratch array (section 16); needed for identical bytes.
    Leftovers,
    Zero,
}

/// Which form a plane was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    A,
    B,
    C,
}

/// Writes the macroblocks of one file, in order.
pub struct Encoder {
    scratch: Words,
    padding: Padding,
    favor_speed: bool,
    /// The forms of all planes written so far.
    pub forms: Vec<Form>,
}

impl Encoder {
    pub fn new(padding: Padding, favor_speed: bool) -> Encoder {
        Encoder { scratch: Words(vec![0; MACROBLOCK]), padding, favor_speed, forms: Vec::new() }
    }

    /// The code words of one macroblock. Incompressible values of 31 or 32 planes do not fit in 16384 words.
    pub fn macroblock(&mut self, values: &[i32]) -> Result<Vec<u32>> {
        let n = values.len();
        assert!((1..=MACROBLOCK).contains(&n));
        match self.padding {
            Padding::Leftovers => self.scratch.0[..n].fill(0),
            Padding::Zero => self.scratch.0.fill(0),
        }
        let largest = values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
        let planes = (32 - largest.leading_zeros()).max(1);
        self.scratch.set_bits(0, 5, (planes % 32) as usize);
        let mut pos = 5;
        let mut significant = vec![false; n];
        let mut sign_array = vec![false; MACROBLOCK];
        for p in (0..planes).rev() {
            pos = self.plane(values, p, pos, &mut significant, &mut sign_array);
        }
        let words = pos / 32;
        if words > MACROBLOCK {
            return Err(format!("macroblock needs {words} code words, at most {MACROBLOCK} can be written"));
        }
        Ok(self.scratch.0[..words].to_vec())
    }

    fn plane(
        &mut self,
        values: &[i32],
        p: u32,
        pos: usize,
        significant: &mut [bool],
        sign_array: &mut [bool],
    ) -> usize {
        let mut events = Vec::new();
        let mut significance = Vec::new();
        let mut signs = Vec::new();
        let mut refinement = Vec::new();
        for (i, &value) in values.iter().enumerate() {
            let bit = value.unsigned_abs() >> p & 1 == 1;
            if significant[i] {
                refinement.push(bit);
            } else {
                significance.push(bit);
                events.push(bit.then_some(value < 0));
                if bit {
                    signs.push(value < 0);
                    significant[i] = true;
                }
            }
        }
        let n = significance.len();
        let m = signs.len();
        sign_array[..m].copy_from_slice(&signs);

        let a_code = write_a_code(&events);
        let a = a_code.len();
        let use_a = n > 0 && a <= 32767 && a < align(n) + align(m) + 30;
        let keep_traces = self.padding == Padding::Leftovers;
        if use_a || keep_traces {
            self.scratch.set_list(pos + 16, &a_code);
        }
        let mut end;
        if use_a {
            self.forms.push(Form::A);
            self.scratch.set_bit(pos, true);
            self.scratch.set_bits(pos + 1, 15, a);
            end = align(pos + 16 + a);
        } else {
            self.scratch.set_bit(pos, false);
            self.scratch.set_bits(pos + 1, 15, n);
            let b_code = if m > 0 && !self.favor_speed { Some(write_b_code(&signs)) } else { None };
            let use_b = b_code.as_ref().is_some_and(|code| code.len() <= 32767 && code.len() < m);
            if let Some(code) = &b_code
                && (use_b || keep_traces)
            {
                self.scratch.set_list(pos + 32, code);
            }
            self.scratch.set_bit(pos + 16, use_b);
            if use_b {
                self.forms.push(Form::B);
                let b = b_code.map_or(0, |code| code.len());
                self.scratch.set_bits(pos + 17, 15, b);
                end = align(pos + 32 + b);
            } else {
                self.forms.push(Form::C);
                self.scratch.set_bits(pos + 17, 15, m);
                let copied = if keep_traces { align(m).min(sign_array.len()) } else { m };
                end = self.scratch.set_whole_words(align(pos + 32), &sign_array[..copied]);
            }
            end = self.scratch.set_whole_words(end, &significance);
        }
        self.scratch.set_whole_words(end, &refinement)
    }
}
