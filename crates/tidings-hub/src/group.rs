use std::sync::Arc;

use crate::coding::Coding;
use crate::encoded_page::EncodedPage;
use crate::frame::Frame;
use crate::index::GroupId;
use crate::interest::Interest;
use crate::mark::Mark;
use crate::matcher::Matcher;
use crate::notice::Audience;
use crate::position::Position;
use crate::ring::Ring;
use crate::stream_form::StreamForm;
use crate::topic::Topic;
use crate::window::Window;

/// What subscribers must have in common to get the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GroupKey {
    pub(crate) interest: Interest,
    pub(crate) form: StreamForm,
    /// Which notices they get.
    pub(crate) audience: Option<Audience>,
}

/// Subscribers that get the same bytes, and the most recent of these bytes.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) key: Arc<GroupKey>,
    pub(crate) ring: Ring,
    /// Members that are live and whose sinks take bytes: those that a walk visits.
    pub(crate) live: Vec<u32>,
    /// All members.
    pub(crate) members: u32,
    /// Live members whose sinks are full for now; the ring keeps frames for them.
    pub(crate) blocked: u32,
    /// Members whose history is being read or written. While there are any, the ring forgets
    /// nothing it has room for, so that they can catch up with it.
    pub(crate) chasing: u32,
    /// Whether it is in the queue of groups to be walked.
    pub(crate) dirty: bool,
    /// Next index of `live` to be visited.
    pub(crate) walk: usize,
    /// Where the ring's head was when the walk began; `None` if the walk missed a member.
    pub(crate) walk_goal: Option<u64>,
    /// Lowest offset of all live members, or one below it.
    pub(crate) low: u64,
    /// The other one of a pair of groups whose events are compressed alone and together; see
    /// `shard/shared_window.rs`.
    pub(crate) twin: Option<GroupId>,
    /// Whether it is the one whose events are compressed together.
    pub(crate) is_together: bool,
    /// What the next of these may refer to.
    pub(crate) window: Option<Box<Window>>,
    /// When the last event came, in a group that may have a twin.
    pub(crate) offered_ms: Option<u64>,
    /// Whether it has been given a notice before.
    pub(crate) is_noticed: bool,
    /// Position of the last frame offered, so that a frame with several topics is taken once.
    pub(crate) offered: Position,
    /// For each wanted matcher, whether its topic has ended. Absent while none has.
    ended: Option<Box<[bool]>>,
    /// Offset after the newest frame with which everything that the members want had ended: the
    /// stream of a member that gets to it ends there, even if a topic has begun again meanwhile.
    pub(crate) ends_at: Option<u64>,
}

impl Group {
    /// A group without members; every frame after `floor` is yet to come.
    pub(crate) fn new(key: Arc<GroupKey>, floor: Mark) -> Self {
        Self {
            ring: match key.form.coding {
                Coding::Identity => Ring::new(floor),
                Coding::Gzip(_) => Ring::summing(floor),
            },
            key,
            live: Vec::new(),
            members: 0,
            blocked: 0,
            chasing: 0,
            dirty: false,
            walk: 0,
            walk_goal: None,
            low: 0,
            twin: None,
            is_together: false,
            window: None,
            offered_ms: None,
            is_noticed: false,
            offered: floor.position,
            ended: None,
            ends_at: None,
        }
    }

    /// Whether any member waits for frames in the ring.
    pub(crate) fn has_readers(&self) -> bool {
        !self.live.is_empty() || self.blocked > 0 || self.chasing > 0
    }

    /// Whether every member has every frame, so that the ring may forget them. True only at the end
    /// of a walk.
    pub(crate) fn is_settled(&self) -> bool {
        self.blocked == 0 && self.chasing == 0
    }

    /// Adds a live member at `offset` and returns its slot.
    pub(crate) fn push_live(&mut self, member: u32, offset: u64) -> u32 {
        self.live.push(member);
        self.low = self.low.min(offset);
        self.live.len() as u32 - 1
    }

    /// Takes out the live member at `slot`; returns the member that is there now.
    pub(crate) fn remove_live(&mut self, slot: u32) -> Option<u32> {
        let slot = slot as usize;
        self.live.swap_remove(slot);
        // `swap_remove` moved a member not yet visited into a slot already passed: walk again.
        if slot < self.walk {
            self.walk_goal = None;
        }
        self.live.get(slot).copied()
    }

    /// Notes that a topic has ended, or continues, as `frame` says.
    pub(crate) fn note(&mut self, frame: &Frame) {
        let ends = frame.record().kind.ends_topic();
        if ends || self.ended.is_some() {
            for topic in frame.record().topics() {
                self.note_topic(topic, ends);
            }
        }
    }

    /// Notes the topics that had ended when a member's history was read. Later events override it.
    pub(crate) fn note_history(&mut self, page: &EncodedPage) {
        if self.offered <= page.reached {
            for topic in &page.ended {
                self.note_topic(topic, true);
            }
        }
    }

    /// For each wanted matcher, whether its topic has ended, if any has.
    pub(crate) fn ended(&self) -> Option<&[bool]> {
        self.ended.as_deref()
    }

    /// Takes over what another group with the same interest has noted.
    pub(crate) fn set_ended(&mut self, ended: Option<Box<[bool]>>) {
        self.ended = ended;
    }

    /// Notes that `topic` has ended, or continues.
    pub(crate) fn note_topic(&mut self, topic: &Topic, ends: bool) {
        let wanted = self.key.interest.wanted();
        let Some(place) = wanted.iter().position(|matcher| matcher.as_exact() == Some(topic))
        else {
            return;
        };
        self.ended.get_or_insert_with(|| vec![false; wanted.len()].into())[place] = ends;
    }

    /// How many bytes a member at `offset` has yet to get before its stream ends; `None` if no end
    /// is ahead.
    pub(crate) fn bytes_to_end(&self, offset: u64) -> Option<usize> {
        self.ends_at?.checked_sub(offset).filter(|left| *left > 0).map(|left| left as usize)
    }

    /// Whether every topic that the members want has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.iter().all(|ended| *ended))
            && self.key.interest.wanted().iter().all(|wanted| matches!(wanted, Matcher::Exact(_)))
    }
}
