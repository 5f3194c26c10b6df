//! What to do about each reason, for `doctor` and `docs/reasons.md`.

use crate::api::conditions::Reason;

/// What to do about `reason`, in general; the condition's message has the names.
pub fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::Verified
        | Reason::Delivering
        | Reason::Passed
        | Reason::Merged
        | Reason::Answering
        | Reason::Live
        | Reason::StageReached => "Nothing: it is good.",
        Reason::NotChecked => "Mend what it depends on first; the message names the condition.",
        Reason::Invalid => "Correct the field that the message names, and apply the object again.",
        Reason::SecretNotFound => "Create the Secret with the keys that `kubectl explain` of the field lists. It is looked for every 30 s.",
        Reason::SecretInvalid => "Give the Secret's key a usable value.",
        Reason::SecretNotAllowed => {
            "Annotate the Secret with flywheel.prim.sh/allowed-factories: NAMESPACE/FACTORY and flywheel.prim.sh/allowed-servers: SCHEME://HOST, as the message says."
        }
        Reason::Unreachable => {
            "Check that the server runs, that its address in the spec is right, and that a NetworkPolicy or firewall lets the controller reach it. It is tried again by itself."
        }
        Reason::ServerError => "Look at that server's log. It is tried again by itself.",
        Reason::RateLimited => "Wait; or raise the server's limit for the bot account.",
        Reason::Conflict => "Nothing: it is tried again at once.",
        Reason::Waiting => "See the message for what it waits for.",
        Reason::UnexpectedAnswer => "Check that the address in the spec is the server's API and that its version is supported.",
        Reason::TokenRejected => {
            "Make a new token for the bot account and put it into the credentials Secret under the key token; of a language model, another key under the key key."
        }
        Reason::PermissionMissing => "Give the account the right that the message names.",
        Reason::RepositoryNotFound => "Create the repository, or add the bot account to it, or correct spec.repository.",
        Reason::BranchNotFound => "Push a first commit to the base branch, or correct spec.repository.baseBranch.",
        Reason::MergeUnavailable => "Allow squash merges in the repository's settings, and unarchive it.",
        Reason::Unprotected => {
            "Add a protection rule for the base branch: no direct pushes, the Factory's required check, outdated branches blocked, merges for the bot account."
        }
        Reason::ProtectionIncomplete => "Change the base branch's protection rule as the message says.",
        Reason::AwaitingDelivery => "Nothing yet; push a commit to see whether its delivery arrives.",
        Reason::DeliveryMissed => {
            "Check the repository's webhook: its URL, that it is active, its secret (webhookSecret), and that the forge may reach the controller's webhook port. `flywheel doctor --admin-token-file` looks at it."
        }
        Reason::ZoneNotServed => "Add the zone to the DNS server, or correct spec.dns.zone or spec.dns.rfc2136.server.",
        Reason::KeyRejected => {
            "Make keyName, algorithm and secret in the Secret the same as the DNS server's key, and keep both clocks right."
        }
        Reason::UpdateRefused => "Grant the key updates in the zone's update-policy: grant KEY zonesub ANY;",
        Reason::CertificateRejected => {
            "Make adminCaBundle the CA of the edge's admin certificate, adminServerName its name, and the client certificate one that the edge lets in."
        }
        Reason::RouteListMissing => "Give the edge's configuration a subroute with \"@id\": \"flywheel-routes\".",
        Reason::Running => "Nothing yet: it ends by itself, at the latest after spec.timeoutSeconds.",
        Reason::Failed => "Mend what status.results names, and make another change.",
        Reason::Blocked => "See status.results for what could not be tried, and supply it.",
        Reason::Broken => "Run the gate again; if it breaks again, look at the Job's pod.",
        Reason::Paused => "Remove spec.paused when the reason that the message repeats no longer holds.",
        Reason::StageUnavailable => "Give the Factory's gates what the message names, a model or a wallet; or lower spec.stage.",
        Reason::Asking => "Nothing: the model is asked, and what it writes is checked.",
        Reason::NotStrict => {
            "See status.idea.problems: say in spec.idea what they are about, which has the model asked anew, or write spec.document yourself."
        }
        Reason::Proposing | Reason::Updating | Reason::Merging | Reason::RollingOut => "Nothing: it is being done.",
        Reason::Queued => {
            "Nothing: its turn comes by itself; the message says what is before it. To let more through, raise the Factory's limits."
        }
        Reason::MergeHeld => "Do what the forge asks in the message, such as a review or another check of the branch's protection.",
        Reason::NothingToChange => "Nothing: the base branch says it already.",
        Reason::MergeConflict => "Apply the change again: a new one is made from what the base branch says now.",
        Reason::Closed => "Open the pull request again, or make another change.",
        Reason::MergedUntested => {
            "Look at the merge that the message names: revert it, or gate the base branch; block outdated branches in its protection."
        }
        Reason::SecretInFile => "Take the secret out of the file, revoke it if it was real, and apply the change again.",
        Reason::TooLarge => "Make the change smaller, or split it.",
        Reason::Superseded => "Nothing: the newer change goes on.",
        Reason::RolloutFailed => "Look at the workload's pods: kubectl -n flywheel-run describe pods. The old version still serves.",
        Reason::Down => {
            "Look at the workload's pods and their logs: kubectl -n flywheel-run describe pods. It is good again by itself once they are ready."
        }
        Reason::Taken => "Choose another id, or have the owner that the message names give it up.",
        Reason::ProbeFailed => "Look at the workload's log and at the edge, as the message says. It is tried again by itself.",
        Reason::Degraded => {
            "See the message for the test or the probe that is red: mend the service by another change, or what it depends on. A gate is asked again by policy.gates.regateEverySeconds, the probe by itself."
        }
        Reason::NotProvided => {
            "Put the value into a Secret in the keys' namespace that is labelled for the primitive, or, where it is no secret, into the Factory's spec.deploy.env."
        }
        Reason::CrdsOutdated => {
            "Apply the CRDs of the controller's release: kubectl apply --server-side -f crds/. Helm installs CRDs once and never upgrades them."
        }
        Reason::Deleting => "Nothing: it goes by itself when what was made for it is gone.",
        Reason::InternalError => "Report it, with the controller's log.",
    }
}
