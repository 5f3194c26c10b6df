//! Pull requests of the fake.

use async_trait::async_trait;
use flywheel::{
    api::{
        conditions::Reason,
        names::{Branch, Sha},
    },
    ports::{
        error::{Class, PortError},
        forge::{Hold, MergeOutcome, MergeRequest, Mergeable, NewPull, Opened, Pull, PullState, Pulls, StatusState, Updated},
    },
};

use super::{Client, Repo, denied, git::Files, gone};

/// A pull request.
#[derive(Clone, Debug)]
pub struct PullRecord {
    /// Open, closed or merged.
    pub state: PullState,
    /// The branch it comes from.
    pub head_branch: String,
    /// The head when the branch was removed.
    pub last_head: Option<Sha>,
    /// The branch it goes into.
    pub base: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its title.
    pub title: String,
    /// Its description.
    pub body: String,
    /// Who opened it.
    pub author: String,
    /// How often it must still be looked at.
    pub looks_until_computed: u32,
}

impl Repo {
    fn look(&mut self, number: u64) -> Option<Pull> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        let record = self.pulls.get_mut(at)?;
        record.looks_until_computed = record.looks_until_computed.saturating_sub(1);
        let record = self.pulls[at].clone();
        let head = self.head(&record.head_branch).or(record.last_head);
        let clean = record.looks_until_computed == 0
            && head.as_ref().zip(self.head(&record.base)).is_some_and(|(head, base)| self.git.merged(&base, head).is_some());
        Some(Pull {
            number,
            url: format!("{}/{}/{}/pulls/{number}", super::URL, self.path.0, self.path.1),
            state: record.state,
            head,
            head_branch: record.head_branch,
            own_branch: true,
            base: record.base,
            mergeable: if clean { Mergeable::Clean } else { Mergeable::Unknown },
            labels: record.labels,
            title: record.title,
            author: record.author,
        })
    }

    fn known(&mut self, number: u64) -> Result<(Pull, &mut PullRecord), PortError> {
        let pull = self.look(number).ok_or_else(|| gone(format_args!("pull request {number}")))?;
        let at = self.pulls.len().min(number as usize) - 1;
        Ok((pull, &mut self.pulls[at]))
    }

    /// A pull request follows its branch some time later.
    fn is_behind(&mut self) -> bool {
        let behind = self.behind > 0;
        self.behind = self.behind.saturating_sub(1);
        behind
    }

    fn labels_are_there(&self, wanted: &[String]) -> Result<(), PortError> {
        match wanted.iter().find(|name| self.labels.iter().all(|label| label.name != **name)) {
            Some(name) => Err(PortError::new(Class::Waiting, Reason::Waiting, format!("no label {name} yet"))),
            None => Ok(()),
        }
    }

    fn find(&mut self, base: &Branch, head: &Branch) -> Option<Pull> {
        let at = self.pulls.iter().position(|p| p.base == base.as_str() && p.head_branch == head.as_str())?;
        self.look(at as u64 + 1)
    }
}

#[async_trait]
impl Pulls for Client {
    async fn find_pull(&self, base: &Branch, head: &Branch) -> Result<Option<Pull>, PortError> {
        self.in_repo("find_pull", |repo, _| Ok(repo.find(base, head)))
    }

    async fn pull(&self, number: u64) -> Result<Option<Pull>, PortError> {
        self.in_repo("pull", |repo, _| Ok(repo.look(number)))
    }

    async fn open_pull(&self, new: &NewPull) -> Result<Opened, PortError> {
        self.in_repo("open_pull", |repo, account| {
            if let Some(there) = repo.find(&new.base, &new.head) {
                return Ok(Opened::There(there));
            }
            repo.labels_are_there(&new.labels)?;
            for branch in [&new.base, &new.head] {
                repo.head(branch.as_str()).ok_or_else(|| gone(format_args!("branch {branch}")))?;
            }
            repo.pulls.push(PullRecord {
                state: PullState::Open,
                head_branch: new.head.to_string(),
                last_head: None,
                base: new.base.to_string(),
                labels: new.labels.clone(),
                title: new.title.clone(),
                body: new.body.clone(),
                author: account.into(),
                looks_until_computed: repo.looks_until_computed + 1,
            });
            Ok(Opened::Made(repo.known(repo.pulls.len() as u64)?.0))
        })
    }

    async fn update_branch(&self, number: u64, expected: &Sha) -> Result<Updated, PortError> {
        self.in_repo("update_branch", |repo, account| {
            let (pull, _) = repo.known(number)?;
            if pull.state != PullState::Open {
                return Ok(Updated::NotOpen(pull.state));
            }
            let head = repo.head(&pull.head_branch).ok_or_else(|| gone("branch"))?;
            let base = repo.head(&pull.base).ok_or_else(|| gone("branch"))?;
            if repo.is_behind() || head != *expected {
                return Ok(Updated::HeadMoved(head));
            }
            if repo.git.history(&head).contains(&base) {
                return Ok(Updated::UpToDate);
            }
            repo.may_write(account)?;
            Ok(repo.update(&pull.head_branch, &pull.base).map_or(Updated::Conflict, Updated::Updated))
        })
    }

    async fn close_pull(&self, number: u64) -> Result<PullState, PortError> {
        self.in_repo("close_pull", |repo, account| {
            let (pull, _) = repo.known(number)?;
            if pull.state == PullState::Open {
                repo.may_write(account)?;
                repo.known(number)?.1.state = PullState::Closed;
            }
            Ok(repo.known(number)?.0.state)
        })
    }

    async fn merge(&self, number: u64, request: &MergeRequest) -> Result<MergeOutcome, PortError> {
        self.in_repo("merge", |repo, account| repo.squash(number, request, account))
    }
}

impl Repo {
    /// Merges the base into a branch, unless they conflict.
    pub(crate) fn update(&mut self, branch: &str, base: &str) -> Option<Sha> {
        self.merge_by_hand(branch, base, |_| {})
    }

    /// The same by somebody who does something else to the files as well.
    pub(crate) fn merge_by_hand(&mut self, branch: &str, base: &str, does: impl FnOnce(&mut Files)) -> Option<Sha> {
        let (head, base) = (self.head(branch)?, self.head(base)?);
        let mut files = self.git.merged(&head, &base)?;
        does(&mut files);
        let made = self.git.commit(files, vec![head, base], "merge of the base");
        self.push(branch, &made);
        Some(made)
    }

    /// In the order in which the adapter and then Gitea check.
    fn squash(&mut self, number: u64, request: &MergeRequest, account: &str) -> Result<MergeOutcome, PortError> {
        let (pull, _) = self.known(number)?;
        match pull.state {
            PullState::Merged(sha) => return Ok(MergeOutcome::AlreadyMerged(sha)),
            PullState::Closed => return Ok(MergeOutcome::Refused("it was closed without a merge".into())),
            PullState::Open => {}
        }
        let head = self.head(&pull.head_branch).ok_or_else(|| gone("branch"))?;
        let base = self.head(&pull.base).ok_or_else(|| gone("branch"))?;
        if self.is_behind() || head != request.head {
            return Ok(MergeOutcome::HeadMoved(Some(head)));
        }
        if !self.git.history(&head).contains(&base) {
            return Ok(MergeOutcome::NotReady(Hold::Outdated, "the head is behind the base".into()));
        }
        self.may_write(account)?;
        let rule = self.rule(&pull.base).cloned();
        if rule.as_ref().and_then(|r| r.merge_whitelist.as_ref()).is_some_and(|list| list.iter().all(|name| name != account)) {
            return Err(denied("not allowed to merge"));
        }
        if self.git.files(&head) == self.git.files(&base) {
            self.known(number)?.1.state = PullState::Merged(base.clone());
            return Ok(MergeOutcome::Merged(base));
        }
        if pull.title.starts_with("WIP:") {
            return Ok(MergeOutcome::Refused("work in progress".into()));
        }
        if pull.mergeable != Mergeable::Clean {
            return Ok(MergeOutcome::NotReady(Hold::Forge, "please try again later".into()));
        }
        let statuses = self.statuses.get(&head).cloned().unwrap_or_default();
        let green = |context: &String| statuses.get(context).is_some_and(|s| s.state == StatusState::Success);
        if rule.as_ref().is_some_and(|r| !r.required_checks.iter().all(green)) {
            let all: Vec<_> = statuses.into_values().collect();
            let named = flywheel::ports::forge::missing(&rule.map(|r| r.required_checks).unwrap_or_default(), &all);
            return Ok(MergeOutcome::NotReady(Hold::Checks, format!("not all required checks are green: {named}")));
        }
        if !self.squash {
            return Ok(MergeOutcome::Refused("squash is not an allowed merge style".into()));
        }
        let Some(files) = self.git.merged(&base, &head) else {
            return Ok(MergeOutcome::NotReady(Hold::Conflict, "it conflicts with the base".into()));
        };
        let made = self.git.commit(files, vec![base], &format!("{}\n\n{}", request.title, request.message));
        self.push(&pull.base, &made);
        self.known(number)?.1.state = PullState::Merged(made.clone());
        Ok(MergeOutcome::Merged(made))
    }
}
