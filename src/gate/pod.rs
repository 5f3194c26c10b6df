//! What every pod with a package's code has in common: rights, limits and
//! memory to write to.

use serde_json::{Value, json};

/// No right but to run, as this user.
pub fn security(user: i64) -> Value {
    json!({
        "runAsUser": user,
        "runAsGroup": user,
        "runAsNonRoot": true,
        "privileged": false,
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] }
    })
}

/// What a container asks for, and the most it gets.
pub fn resources(request: &str, cpu: &str, memory_request: &str, memory: &str) -> Value {
    json!({
        "requests": { "cpu": request, "memory": memory_request, "ephemeral-storage": "8Mi" },
        "limits": { "cpu": cpu, "memory": memory, "ephemeral-storage": "128Mi" }
    })
}

/// A volume in memory: it counts as its writer's, and goes with the pod.
pub fn memory(name: &str, limit: &str) -> Value {
    json!({ "name": name, "emptyDir": { "medium": "Memory", "sizeLimit": limit } })
}
