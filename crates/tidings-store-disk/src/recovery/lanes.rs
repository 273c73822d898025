//! The part of a log that was sorted by rule, when it is opened.

use std::sync::Arc;

use crate::catalogue::{CATALOGUE_FILE, Catalogue, RunEntry, read_sealed};
use crate::error::OpenError;
use crate::index::IndexFile;
use crate::lanes::Lanes;
use crate::log_identity::LogName;
use crate::lost::Losses;
use crate::rule::Rule;
use crate::rules::Rules;
use crate::run::{Run, scan_run};
use crate::segment::{Index, Sealed, SegmentLog};

use super::Found;
use super::indexes::{keep_index, open_index};

impl Found<'_> {
    /// What the catalogue names; nothing if there is none.
    pub(super) fn lanes(&self, name: &LogName) -> Result<Lanes, OpenError> {
        let Some(catalogue) = self.catalogue()? else {
            return Ok(Lanes::default());
        };
        let rules = Arc::new(self.rules_of(&catalogue));
        let mut lanes = vec![Vec::<Run>::new(); rules.lanes()];
        for entry in &catalogue.runs {
            let run = self.run(entry, name)?;
            let lane = lanes.get_mut(entry.name.lane as usize);
            let is_next = |lane: &&mut Vec<Run>| {
                run.last() <= catalogue.upto
                    && lane.last().is_none_or(|before| before.last() < run.first())
            };
            let lane = lane.filter(is_next).ok_or_else(|| OpenError::Damaged {
                path: self.disk.path(CATALOGUE_FILE),
                what: format!("the run {} is out of order", entry.name),
            })?;
            lane.push(run);
        }
        Ok(Lanes {
            generation: catalogue.generation,
            upto: catalogue.upto,
            time: catalogue.time,
            losses: Arc::new(self.losses(&catalogue, &rules)?),
            lost_file: catalogue.lost,
            work: Vec::new(),
            rules,
            lanes,
        })
    }

    pub(crate) fn catalogue(&self) -> Result<Option<Catalogue>, OpenError> {
        if !self.names.iter().any(|name| name == CATALOGUE_FILE) {
            return Ok(None);
        }
        let text = read_sealed(self.disk, CATALOGUE_FILE);
        let text = text.map_err(self.fail("read", CATALOGUE_FILE))?;
        let catalogue = text.and_then(|text| Catalogue::decode(&text));
        catalogue.map(Some).ok_or_else(|| OpenError::Damaged {
            path: self.disk.path(CATALOGUE_FILE),
            what: "its checksum is wrong".to_owned(),
        })
    }

    /// The rules by which the runs are sorted: those of the configuration if they sort the same.
    fn rules_of(&self, catalogue: &Catalogue) -> Rules {
        let rule = |(name, topics): &(String, Vec<_>)| Rule {
            name: name.as_str().into(),
            topics: topics.clone(),
            age: None,
            bytes: None,
            promise: None,
        };
        let sorted_by = Rules(catalogue.rules.iter().map(rule).collect());
        let configured = Rules(self.config.rules.clone());
        if configured.sort_as(&sorted_by) { configured } else { sorted_by }
    }

    fn losses(&self, catalogue: &Catalogue, rules: &Rules) -> Result<Losses, OpenError> {
        let Some(name) = &catalogue.lost else {
            return Ok(Losses::of(rules.lanes()));
        };
        let text = read_sealed(self.disk, name).map_err(self.fail("read", name))?;
        let losses = text.and_then(|text| Losses::decode(&text, rules.lanes()));
        if losses.is_none() {
            let path = self.disk.path(name);
            tracing::warn!(
                path = %path.display(),
                "the file of what retention dropped is damaged: subscribers that come back from \
                 before now get a reset"
            );
        }
        Ok(losses.unwrap_or_else(|| Losses { floor: catalogue.upto, ..Losses::of(rules.lanes()) }))
    }

    fn run(&self, entry: &RunEntry, log: &LogName) -> Result<Run, OpenError> {
        let file = entry.name.file();
        let damaged = |what: String| OpenError::Damaged { path: self.disk.path(&file), what };
        let log = Arc::new(SegmentLog::open_run(self.disk, entry.name, log)?);
        if log.salt != entry.salt {
            return Err(damaged("it is not the run that the catalogue names".to_owned()));
        }
        let bytes = log.file.len().map_err(self.fail("read", &file))?;
        if bytes != entry.bytes {
            return Err(damaged(format!("it has {bytes} bytes instead of {}", entry.bytes)));
        }
        let sealed = match self.index_of_run(entry) {
            Some(index) => {
                let footer = *index.footer();
                Sealed {
                    log,
                    last: entry.last,
                    first_time: footer.first_time,
                    last_time: footer.last_time,
                    log_bytes: bytes,
                    index: Index::File(Arc::new(index)),
                }
            }
            None => self.run_without_index(entry, log)?,
        };
        let (is_base, aging) = (entry.is_base, entry.aging);
        Ok(Run { name: entry.name, sealed: Arc::new(sealed), is_base, aging })
    }

    fn run_without_index(
        &self,
        entry: &RunEntry,
        log: Arc<SegmentLog>,
    ) -> Result<Sealed, OpenError> {
        let index = entry.name.index();
        tracing::info!(index, "rebuilding an index");
        let scan = scan_run(&log, entry.bytes)?;
        let mut sealed = Sealed {
            log,
            last: scan.last,
            first_time: scan.first_time,
            last_time: scan.last_time,
            log_bytes: entry.bytes,
            index: Index::Memory(Arc::default()),
        };
        if sealed.last != entry.last {
            let what = format!("it ends with record {} instead of {}", sealed.last, entry.last);
            return Err(OpenError::Damaged { path: sealed.log.path.clone(), what });
        }
        sealed.index =
            keep_index(self.disk, &index, &sealed, scan.index, || self.index_of_run(entry));
        Ok(sealed)
    }

    fn index_of_run(&self, entry: &RunEntry) -> Option<IndexFile> {
        let name = entry.name.index();
        open_index(self.disk, &name, entry.salt).filter(|index| {
            let footer = index.footer();
            footer.first == entry.name.first && footer.log_bytes == entry.bytes
        })
    }
}
