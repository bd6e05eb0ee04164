//! What a thread keeps from one file to the next: tables of codes, which most files have in common, and buffers.

use super::huffman::Codes;
use super::scan::Plane;
use super::streams::{TABLES, Work};

/// What a thread keeps from file to file.
pub(super) struct Kept {
    pub work: Work,
    /// Whether the last file was left in the middle, and its coefficients with it.
    pub littered: bool,
    /// The tables of codes, and how many tables of entries they take.
    pub tables: Vec<Table>,
    taken: usize,
    pub data: Vec<u8>,
    pub planes: Vec<Plane>,
}

pub(super) struct Table {
    kind: Kind,
    /// As it stands in the file that brought it.
    spec: Vec<u8>,
    /// Where its entries begin.
    pub begin: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dc,
    Ac,
    /// AC coefficients that are passed over.
    Skip,
    /// For blocks of which all is wanted: several AC coefficients a look.
    DcOfPairs,
    Pairs,
}

impl Kind {
    fn size(self) -> usize {
        if matches!(self, Kind::DcOfPairs | Kind::Pairs) { 2 } else { 1 }
    }
}

impl Kept {
    pub fn new() -> Kept {
        Kept { work: Work::new(), littered: false, tables: Vec::new(), taken: 0, data: Vec::new(), planes: Vec::new() }
    }

    /// The numbers of these tables; `None` if they are too many or not in order.
    pub fn tables(&mut self, wanted: &[(Kind, &[u8])]) -> Option<Vec<usize>> {
        let missing = wanted
            .iter()
            .enumerate()
            .filter(|(n, table)| self.find(table.0, table.1).is_none() && !wanted[..*n].contains(table));
        if self.taken + missing.map(|(_, (kind, _))| kind.size()).sum::<usize>() > TABLES {
            self.tables.clear();
            self.work.rarely.codes.clear();
            self.taken = 0;
        }
        wanted.iter().map(|(kind, spec)| self.table(*kind, spec)).collect()
    }

    fn find(&self, kind: Kind, spec: &[u8]) -> Option<usize> {
        self.tables.iter().position(|table| table.kind == kind && table.spec == spec)
    }

    fn table(&mut self, kind: Kind, spec: &[u8]) -> Option<usize> {
        if let Some(number) = self.find(kind, spec) {
            return Some(number);
        }
        let codes = Codes::new(spec, matches!(kind, Kind::Dc | Kind::DcOfPairs))?;
        let (begin, size) = (self.taken, kind.size());
        if begin + size > TABLES {
            return None;
        }
        let entries = self.work.table(begin, size);
        match kind {
            Kind::Dc | Kind::Ac => codes.fill(entries),
            Kind::Skip => codes.fill_skipping(entries),
            Kind::DcOfPairs | Kind::Pairs => codes.fill_pairs(entries),
        }
        self.work.rarely.codes.push(codes);
        self.tables.push(Table { kind, spec: spec.to_vec(), begin });
        self.taken += size;
        Some(self.tables.len() - 1)
    }
}
