//! prim.sh's result file, and beside each of its fields ours.

use serde_json::{Map, Value, json};

use super::Report;
use crate::suite::{
    exchange::Receipt,
    plan::Mode,
    verdict::{Counts, TestResult},
};

/// The report: `{timestamp, mode, groups, tests, summary}` as prim.sh's runner writes
/// it, and what that leaves out.
pub fn json(report: &Report) -> Value {
    let verdict = report.verdict;
    let groups: Map<_, _> = verdict.groups.iter().map(|(id, counts)| (id.clone(), counted(counts))).collect();
    let mut summary = counted(&verdict.counts);
    summary["total"] = verdict.counts.total().into();
    json!({
        "timestamp": report.timestamp,
        "mode": if report.ci { "ci" } else { "local" },
        "groups": groups,
        "tests": report.results.iter().map(|result| test(report, result)).collect::<Vec<_>>(),
        "summary": summary,
        "plan": report.plan.name,
        "network": report.plan.network,
        "rules": match report.plan.mode { Mode::Ours => "flywheel", Mode::Primsh => "primsh" },
        "verdict": { "exit": verdict.exit.code(), "summary": verdict.summary, "hard": verdict.hard, "soft": verdict.soft },
    })
}

fn counted(counts: &Counts) -> Value {
    json!({ "pass": counts.pass, "fail": counts.fail, "blocked": counts.blocked, "error": counts.error, "skipped": counts.skipped })
}

fn test(report: &Report, result: &TestResult) -> Value {
    let mut made = json!({
        "id": result.id, "result": result.outcome.as_str(), "actual_status": result.actual_status, "run_note": result.note,
        "group": result.group, "service": result.service, "test": report.title(result),
        "duration_ms": result.duration_ms, "attempts": result.attempts,
    });
    if let Some(by) = &result.blocked_by {
        made["blocked_by"] = by.as_str().into();
    }
    if !result.unfilled.is_empty() {
        made["unfilled"] = result.unfilled.clone().into();
    }
    if !result.receipts.is_empty() {
        made["payments"] = result.receipts.iter().map(receipt).collect();
    }
    if let Some(request) = &result.request {
        made["request"] = json!({ "method": request.method, "url": request.url });
    }
    made
}

fn receipt(receipt: &Receipt) -> Value {
    let mut made = json!({
        "x402_version": receipt.version, "network": receipt.network, "asset": receipt.asset, "amount": receipt.amount.to_string(),
        "pay_to": receipt.pay_to, "payer": receipt.payer, "settled": receipt.settled, "transaction": receipt.transaction,
    });
    if let Some(why) = &receipt.refused {
        made["refused"] = why.as_str().into();
    }
    made
}
