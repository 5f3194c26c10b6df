package kube

import (
	"encoding/json"
	"os"

	"flywheel.prim.sh/e2e/testbed/internal/pki"
)

// WriteConfig writes a kubeconfig file with the keys inside, so that it can be
// moved or mounted alone. It is JSON, which every reader of YAML reads.
func WriteConfig(path, name string, a Access) error {
	var data [3][]byte
	for i, file := range []string{a.CA, a.Cert, a.Key} {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		data[i] = content // encoding/json writes bytes in base64, as kubeconfig wants them
	}
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []any{map[string]any{"name": name, "cluster": map[string]any{
			"server": a.Server, "certificate-authority-data": data[0],
		}}},
		"users": []any{map[string]any{"name": name, "user": map[string]any{
			"client-certificate-data": data[1], "client-key-data": data[2],
		}}},
		"contexts":        []any{map[string]any{"name": name, "context": map[string]any{"cluster": name, "user": name}}},
		"current-context": name,
	}, "", "  ")
	if err != nil {
		return err
	}
	return pki.WriteFile(path, append(text, '\n'), 0o600)
}
