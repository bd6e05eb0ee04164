//! Which pieces may come, and what their markers, addresses and ends change.

use std::sync::Arc;

use super::{Chains, FINISHED, First, Frame, Grammar, Mask, NOT_BEGUN, Opening, PLANES, Partial, Place, Rules};
use super::{PackedPlane, TokenPlane};
use crate::base;
use crate::note::{self, Note};
use crate::opening::{PALETTE_CHUNK, USER_CHUNK, USER_DIGITS};
use crate::picture::{Payload, Picture};
use crate::segment::{Address, DEEP_KIND, DETAIL, KINDS, SHORT_KIND, code};
use pgf::Mode;

/// Bytes of the sum in a check.
const CHECK_DIGITS: usize = 5;

/// Kind, group and, in the short form, plane of a code of planes.
fn split(code: u8, deep: bool) -> (usize, u8, Option<u8>) {
    let code = code - DETAIL;
    if deep {
        (usize::from(code / DEEP_KIND), code % DEEP_KIND, None)
    } else {
        (usize::from(code / SHORT_KIND), code % SHORT_KIND / 16, Some(code % 16))
    }
}

impl Grammar {
    /// Codes that may stand behind the FF of a marker.
    pub(super) fn codes(&self) -> Mask {
        let Some(frame) = self.frame.as_deref() else { return Mask::of(code::PICTURE) };
        let mut mask = Mask::NONE;
        if let (Opening::Base(plane, _), true) = (self.opening, self.rules > Rules::Framing) {
            return Mask::of(code::BASE + plane);
        }
        mask.insert(code::PICTURE);
        if self.rules == Rules::Framing || self.opening == Opening::Broken {
            mask.join(Mask::range(code::BASE.into(), u16::from(code::BASE) + frame.bases.len() as u16));
        }
        let palettes = frame.picture.header.mode == Mode::Indexed && self.next_palette < 16;
        for (code, legal) in [
            (code::PALETTE, palettes || self.rules == Rules::Framing),
            (code::USER, self.next_user.is_some() || self.rules == Rules::Framing),
            (code::FILE, !self.noted || self.rules == Rules::Framing),
            (code::CHECK, true),
            (code::END, true),
        ] {
            if legal {
                mask.insert(code);
            }
        }
        self.add_details(frame, &mut mask);
        mask
    }

    /// Codes of segments of planes.
    fn add_details(&self, frame: &Frame, mask: &mut Mask) {
        let chains = &*self.chains;
        for group in 0..frame.groups() {
            let waiting = &chains.waiting[group * PLANES..][..PLANES];
            for (kind, (count, first)) in KINDS.into_iter().enumerate() {
                let code = |plane: usize| match frame.picture.deep {
                    true => DETAIL + kind as u8 * DEEP_KIND + group as u8,
                    false => DETAIL + kind as u8 * SHORT_KIND + group as u8 * 16 + plane as u8,
                };
                let planes = if frame.picture.deep { PLANES } else { 16 };
                let again = self.rules == Rules::Addresses && chains.coarse[group] > 0;
                for (plane, waiting) in waiting.iter().enumerate().take(planes).skip(usize::from(count) - 1) {
                    let legal = match (self.rules, first) {
                        (Rules::Framing, _) => true,
                        (_, true) => chains.fresh[group] > 0 || again,
                        (_, false) => *waiting > 0,
                    };
                    if legal {
                        mask.insert(code(plane));
                    }
                }
            }
        }
        for first in &chains.firsts {
            mask.insert(first.code);
        }
    }

    /// Begins the piece of a code that is one of [`codes`](Self::codes) or not.
    pub(super) fn begin(&mut self, code: u8, known: bool) {
        self.capture = None;
        if let Place::User { digits: 0, left: 1.. } = self.place {
            // Not full: the last.
            self.next_user = None;
        }
        if self.checking {
            self.crc = crc32fast::Hasher::new();
            self.checking = false;
        }
        let sum = self.crc.clone().finalize();
        let Some(frame) = self.frame.clone() else {
            self.place = if known { Place::Header { bytes: [0; 32], len: 0 } } else { Place::Lost };
            return;
        };
        if !known {
            self.lose();
            return;
        }
        let framing = self.rules == Rules::Framing;
        if self.opening == Opening::Closing && code != code::PICTURE {
            self.opening = Opening::Detail;
        }
        self.place = match code {
            code::PICTURE => {
                self.opening = match self.opening {
                    Opening::Detail => Opening::Base(0, 0),
                    _ => Opening::Detail,
                };
                Place::Copy { of: frame.header.clone(), at: 0 }
            }
            c if (code::BASE..code::BASE + 8).contains(&c) => {
                let plane = c - code::BASE;
                let digits = frame.base_digits(plane);
                if framing {
                    Place::Loose { need: digits, limit: 255 }
                } else {
                    Place::Base { plane, number: 0, digits, left: 0, sums: base::Sums::new(plane.into(), 0) }
                }
            }
            code::PALETTE => Place::Palette { index: None, left: 4 * PALETTE_CHUNK as u8 },
            code::USER => Place::User { digits: USER_DIGITS as u8, left: USER_CHUNK as u8 },
            code::FILE => {
                self.noted = true;
                Place::File { bytes: [0; 7], len: 0 }
            }
            code::CHECK if framing => Place::Loose { need: CHECK_DIGITS as u8, limit: 0x80 },
            code::CHECK => {
                self.checking = true;
                // Behind a check its own bytes do not count, nor those before it.
                let digit = |i: usize| (sum >> (7 * (CHECK_DIGITS - 1 - i))) as u8 & 0x7F;
                Place::Copy { of: (0..CHECK_DIGITS).map(digit).collect(), at: 0 }
            }
            code::END => Place::Done,
            code => {
                let (_, _, plane) = split(code, frame.picture.deep);
                Place::Address(Partial { code, plane, number: 0, digits: frame.geometry.digits as u8 })
            }
        };
    }

    /// Begins the picture of a header that is whole.
    pub(super) fn start(&mut self, picture: Picture, bytes: &[u8]) -> bool {
        let Some(frame) = picture.check(&self.limits).ok().and_then(|()| Frame::new(picture, bytes)) else {
            return false;
        };
        let groups = frame.groups();
        let blocks = frame.geometry.blocks.len();
        let fresh = frame.geometry.groups.windows(2).map(|g| (g[1] - g[0]) as u32).collect();
        let payload = (self.rules == Rules::Payload).then_some(picture.payload);
        self.chains = Arc::new(Chains {
            due: vec![NOT_BEGUN; blocks],
            waiting: vec![0; groups * PLANES],
            fresh,
            coarse: vec![0; groups],
            firsts: Vec::new(),
            counts: if payload == Some(Payload::Tokens) { vec![0; frame.geometry.parts.len()] } else { Vec::new() },
            rows: if payload == Some(Payload::Packed) { vec![None; blocks] } else { Vec::new() },
        });
        self.frame = Some(Arc::new(frame));
        self.opening = Opening::Base(0, 0);
        self.place = Place::Done;
        true
    }

    /// Check bytes behind the values of a base chunk.
    pub(super) fn base_check(&self) -> usize {
        self.frame.as_deref().map_or(0, |frame| base::check_bytes(&frame.picture))
    }

    /// The next digit of the number of a base chunk.
    pub(super) fn base_mask(&self, plane: u8, number: usize, digits: u8) -> Mask {
        let Some(frame) = self.frame.as_deref() else { return Mask::NONE };
        match (digits, self.opening) {
            (_, Opening::Base(p, next)) if p == plane => {
                Mask::of((next / 255u32.pow(u32::from(digits) - 1) % 255) as u8)
            }
            _ => {
                let reach = 255usize.pow(u32::from(digits) - 1);
                let most = (frame.chunks(plane) - 1) / reach;
                Mask::below((most.saturating_sub(number * 255) + 1).min(255) as u16)
            }
        }
    }

    /// A base chunk is whole.
    pub(super) fn finish_chunk(&mut self, plane: u8, number: usize) {
        let Some(frame) = self.frame.as_deref() else { return };
        if self.opening != Opening::Base(plane, number as u32) {
            return;
        }
        self.opening = if number + 1 < frame.chunks(plane) {
            Opening::Base(plane, number as u32 + 1)
        } else if usize::from(plane) + 1 < frame.bases.len() {
            Opening::Base(plane + 1, 0)
        } else {
            Opening::Closing
        };
    }

    /// What may follow the bytes of a note on the file, and whether it may end there.
    pub(super) fn note_allows(&self, bytes: &[u8]) -> (Mask, bool) {
        let Some(frame) = self.frame.as_deref() else { return (Mask::NONE, false) };
        let picture = &frame.picture;
        let mut mask = Mask::NONE;
        match bytes.len() {
            0 => {
                let tiled = note::tiles_fit(&picture.header);
                (0..16).filter(|kind| tiled || kind & note::TILED == 0).for_each(|kind| mask.insert(kind));
            }
            // The writer's version has 16 bits.
            1 => mask = Mask::below(4),
            2 | 3 => mask = Mask::below(0x80),
            n @ 4..7 => {
                for all in 1..=u8::MAX {
                    for used in 1..32 {
                        let said = [used, all >> 7, all & 0x7F];
                        if said[..n - 4] == bytes[4..] && Note::fits(picture, used, all) {
                            mask.insert(said[n - 4]);
                        }
                    }
                }
            }
            _ => {}
        }
        (mask, matches!(bytes.len(), 4 | 7))
    }

    /// Whether a segment of this code and plane may come for a block.
    fn fits(&self, frame: &Frame, block: usize, code: u8, plane: u8) -> bool {
        let (kind, ..) = split(code, frame.picture.deep);
        let (count, first) = KINDS[kind];
        let due = self.chains.due[block];
        if plane + 1 < count {
            return false;
        }
        match (first, due) {
            (false, due) => due == plane,
            (true, NOT_BEGUN) => plane < 32 + frame.highest[block],
            (true, _) if self.rules == Rules::Addresses => frame.is_coarse(block),
            (true, _) => self.first(block, code, plane).is_some(),
        }
    }

    /// The beginning of a block, where it may be repeated.
    fn first(&self, block: usize, code: u8, plane: u8) -> Option<&First> {
        self.chains.firsts.iter().find(|f| (f.block, f.code, f.plane) == (block, code, plane))
    }

    /// The next byte of an address.
    pub(super) fn address_mask(&self, partial: &Partial) -> Mask {
        let Some(frame) = self.frame.as_deref() else { return Mask::NONE };
        if self.rules == Rules::Framing {
            return Mask::below(255);
        }
        let (kind, group, _) = split(partial.code, frame.picture.deep);
        let (count, first) = KINDS[kind];
        let group = usize::from(group);
        let blocks = frame.geometry.groups[group]..frame.geometry.groups[group + 1];
        let mut mask = Mask::NONE;
        let Some(plane) = partial.plane else {
            if first {
                let fresh = blocks.filter(|b| self.chains.due[*b] == NOT_BEGUN || self.rules == Rules::Addresses);
                if let Some(highest) = fresh.map(|b| frame.highest[b]).max() {
                    mask = Mask::range(u16::from(count) - 1, 32 + u16::from(highest));
                }
                for f in self.chains.firsts.iter().filter(|f| f.code == partial.code) {
                    mask.insert(f.plane);
                }
            } else {
                let waiting = &self.chains.waiting[group * PLANES..][..PLANES];
                for (plane, _) in waiting.iter().enumerate().skip(usize::from(count) - 1).filter(|(_, n)| **n > 0) {
                    mask.insert(plane as u8);
                }
            }
            return mask;
        };
        // Blocks whose number begins with the digits that are there.
        let reach = 255usize.saturating_pow(u32::from(partial.digits) - 1);
        let from = partial.number.saturating_mul(reach).saturating_mul(255);
        let to = from.saturating_add(reach.saturating_mul(255)).min(blocks.len());
        for index in from..to {
            let digit = (index - from) / reach;
            if self.fits(frame, blocks.start + index, partial.code, plane) {
                mask.insert(digit as u8);
            }
        }
        mask
    }

    /// An address is whole: its content begins.
    pub(super) fn enter(&mut self, frame: &Frame, partial: Partial) -> bool {
        let (kind, group, plane) = split(partial.code, frame.picture.deep);
        let (plane, (count, first)) = (plane.or(partial.plane).unwrap_or(0), KINDS[kind]);
        let block = frame.geometry.block(group, partial.number);
        self.place = Place::Free;
        let Some(block) = block.filter(|_| self.rules > Rules::Framing) else { return true };
        self.segment = (block, kind as u8, plane);
        if first && self.chains.due[block] != NOT_BEGUN {
            if let Some(first) = self.first(block, partial.code, plane) {
                self.place = Place::Copy { of: first.content.clone(), at: 0 };
            }
            return true;
        }
        if self.rules == Rules::Addresses {
            self.commit(frame);
            return true;
        }
        if first && frame.is_coarse(block) {
            self.capture = Some(Vec::new());
        }
        let address = Address { block, plane, count, first };
        self.place = match frame.picture.payload {
            Payload::Tokens => Place::Tokens(TokenPlane::new(frame, &self.chains, &address)),
            Payload::Packed => {
                Place::Packed(Box::new(PackedPlane::new(frame, &self.chains, (block, plane, count), &address)))
            }
        };
        if self.is_whole() {
            // No active part has a coefficient.
            self.finish_segment();
        }
        true
    }

    /// The block of the segment goes on: the plane behind it is due.
    fn commit(&mut self, frame: &Frame) {
        let (block, kind, plane) = self.segment;
        let (count, first) = KINDS[usize::from(kind)];
        let group = usize::from(frame.geometry.blocks[block].group);
        let coarse = frame.is_coarse(block);
        let chains = Arc::make_mut(&mut self.chains);
        if first {
            chains.fresh[group] -= 1;
            chains.coarse[group] += u32::from(coarse);
        } else {
            chains.waiting[group * PLANES + usize::from(plane)] -= 1;
        }
        chains.due[block] = match (plane + 1).checked_sub(count + 1) {
            Some(next) => {
                chains.waiting[group * PLANES + usize::from(next)] += 1;
                next
            }
            None => FINISHED,
        };
    }

    /// A content is whole.
    pub(super) fn finish_segment(&mut self) {
        let Some(frame) = self.frame.clone() else { return };
        self.commit(&frame);
        let (block, kind, plane) = self.segment;
        let chains = Arc::make_mut(&mut self.chains);
        match &self.place {
            Place::Tokens(done) => {
                let range = frame.geometry.blocks[block].parts.clone();
                chains.counts[range].iter_mut().zip(done.significant()).for_each(|(slot, count)| *slot = *count);
            }
            Place::Packed(done) => chains.rows[block] = Some(done.significant().into()),
            _ => {}
        }
        if let Some(content) = self.capture.take() {
            let code = match frame.picture.deep {
                true => DETAIL + kind * DEEP_KIND + frame.geometry.blocks[block].group,
                false => DETAIL + kind * SHORT_KIND + frame.geometry.blocks[block].group * 16 + plane,
            };
            chains.firsts.push(First { block, code, plane, content: content.into() });
        }
    }
}
