package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// actionsPath is where the API has the repository's workflows and runners.
const actionsPath = repoPath + "/actions"

// disabledWorkflows run only where somebody switches them on. What `ci.yml` does
// to each pull request layer 1 does too, as the one check that is required here;
// beside the test bed there is not CPU enough to do it twice.
var disabledWorkflows = []string{"ci.yml"}

// ensureActions switches workflows on where the bed has a runner (without one
// their status would stay pending for ever), and off those that it does not run by
// itself.
func (p *provisioner) ensureActions(ctx context.Context) error {
	if p.bed.Mode != bed.Full {
		return nil
	}
	var repo struct {
		Actions bool `json:"has_actions"`
	}
	if err := p.api.Get(ctx, repoPath, &repo); err != nil {
		return err
	}
	if !repo.Actions {
		p.changed = append(p.changed, "workflows on")
		if err := p.api.Do(ctx, http.MethodPatch, repoPath, map[string]any{"has_actions": true}, nil); err != nil {
			return err
		}
	}
	var have struct {
		Workflows []struct {
			ID    string `json:"id"`
			State string `json:"state"`
		} `json:"workflows"`
	}
	if err := p.api.Get(ctx, actionsPath+"/workflows", &have); err != nil {
		return err
	}
	for _, workflow := range have.Workflows {
		for _, name := range disabledWorkflows {
			if path.Base(workflow.ID) != name || workflow.State != "active" {
				continue
			}
			p.changed = append(p.changed, name+" disabled")
			if err := p.api.Do(ctx, http.MethodPut, actionsPath+"/workflows/"+name+"/disable", nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// runnerRegistration is what Gitea's runner reads when it starts.
type runnerRegistration struct {
	ID        int64    `json:"id"`
	UUID      string   `json:"uuid"`
	Name      string   `json:"name"`
	Token     string   `json:"token"`
	Address   string   `json:"address"`
	Labels    []string `json:"labels"`
	Ephemeral bool     `json:"ephemeral"`
}

// RegisterRunner makes the factory repository known a runner for one job on the
// label, and returns what that runner reads when it starts. The token that may
// register others stays here: the runner's own `register` takes it as an argument,
// where others could read it, so this is the call that it makes.
func (a API) RegisterRunner(ctx context.Context, label string) ([]byte, error) {
	var right struct {
		Token string `json:"token"`
	}
	if err := a.Do(ctx, http.MethodPost, actionsPath+"/runners/registration-token", nil, &right); err != nil {
		return nil, err
	}
	const name = "flywheel-test-bed"
	in, err := json.Marshal(map[string]any{"name": name, "token": right.Token, "labels": []string{label}, "ephemeral": true})
	if err != nil {
		return nil, err
	}
	// Connect's protocol, in JSON.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, URL+"api/actions/runner.v1.RunnerService/Register", bytes.NewReader(in))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the forge answers %s to a runner's registration", response.Status)
	}
	var made struct {
		Runner struct {
			ID        int64  `json:"id,string"`
			UUID      string `json:"uuid"`
			Token     string `json:"token"`
			Ephemeral bool   `json:"ephemeral"`
		} `json:"runner"`
	}
	if err := json.Unmarshal(data, &made); err != nil {
		return nil, fmt.Errorf("a runner's registration: %w", err)
	}
	if !made.Runner.Ephemeral {
		return nil, fmt.Errorf("the forge registered runner %d for more than one job", made.Runner.ID)
	}
	return json.Marshal(runnerRegistration{
		ID: made.Runner.ID, UUID: made.Runner.UUID, Name: name, Token: made.Runner.Token, Address: URL,
		Labels: []string{label + ":host"}, Ephemeral: true,
	})
}

// RemoveRunners removes every runner that the factory repository knows.
func (a API) RemoveRunners(ctx context.Context) error {
	var have struct {
		Runners []struct {
			ID int64 `json:"id"`
		} `json:"runners"`
	}
	if err := a.Get(ctx, actionsPath+"/runners", &have); err != nil {
		return err
	}
	for _, runner := range have.Runners {
		err := a.Do(ctx, http.MethodDelete, fmt.Sprintf("%s/runners/%d", actionsPath, runner.ID), nil, nil)
		if err != nil && !Is(err, http.StatusNotFound) {
			return err
		}
	}
	return nil
}
