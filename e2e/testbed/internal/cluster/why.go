package cluster

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/kube"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// podList is what of pods tells why they do not serve.
type podList struct {
	Items []struct {
		Metadata struct{ Name string }
		Status   struct {
			Phase             string
			Conditions        []struct{ Type, Status, Reason, Message string }
			ContainerStatuses []struct {
				Name         string
				RestartCount int
				State        struct {
					Waiting, Terminated *struct{ Reason, Message string }
				}
			}
		}
	}
}

// eventList holds what was told about objects, the oldest first.
type eventList struct {
	Items []struct {
		InvolvedObject        struct{ Kind, Name string }
		Type, Reason, Message string
	}
}

const linesTold = 5

// whyPodsWait says, a line for each thing, what keeps the pods of a namespace
// that match selector from serving: as much as is known, for an error's text.
func whyPodsWait(ctx context.Context, client *kube.Client, namespace, selector string) []string {
	var pods podList
	if err := client.Get(ctx, "/api/v1/namespaces/"+namespace+"/pods?labelSelector="+selector, &pods); err != nil {
		return []string{err.Error()}
	}
	var events eventList
	if err := client.Get(ctx, "/api/v1/namespaces/"+namespace+"/events", &events); err != nil {
		return []string{err.Error()}
	}
	return append(pods.lines(selector), events.lines()...)
}

func (l podList) lines(selector string) (lines []string) {
	if len(l.Items) == 0 {
		return []string{"no pod has " + selector}
	}
	for _, pod := range l.Items {
		line := fmt.Sprintf("pod %s is %s", pod.Metadata.Name, pod.Status.Phase)
		for _, c := range pod.Status.Conditions {
			if c.Status != "True" {
				line += fmt.Sprintf("; %s is %s: %s %s", c.Type, c.Status, c.Reason, c.Message)
			}
		}
		for _, c := range pod.Status.ContainerStatuses {
			line += fmt.Sprintf("; %s restarted %d times", c.Name, c.RestartCount)
			if w := c.State.Waiting; w != nil {
				line += fmt.Sprintf(", waits: %s %s", w.Reason, w.Message)
			}
			if t := c.State.Terminated; t != nil {
				line += fmt.Sprintf(", ended: %s %s", t.Reason, t.Message)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// lines are those of the last warnings, or of the last events where none warns.
func (l eventList) lines() (lines []string) {
	var warnings []string
	for _, e := range l.Items {
		line := fmt.Sprintf("%s of %s %s: %s", e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Message)
		lines = append(lines, line)
		if e.Type == "Warning" {
			warnings = append(warnings, line)
		}
	}
	if len(warnings) > 0 {
		lines = warnings
	}
	return lines[max(0, len(lines)-linesTold):]
}

// complaint is how klog begins the line of an error.
var complaint = regexp.MustCompile(`^E\d{4} `)

// complaints are the last errors in the logs of these processes.
func complaints(b *bed.Bed, processes ...string) (told []string) {
	for _, name := range processes {
		log, err := os.ReadFile(proc.LogPath(b, name))
		if err != nil {
			told = append(told, err.Error())
			continue
		}
		var lines []string
		for line := range strings.Lines(string(log)) {
			if complaint.MatchString(line) {
				lines = append(lines, name+": "+strings.TrimSpace(line))
			}
		}
		told = append(told, lines[max(0, len(lines)-linesTold):]...)
	}
	return told
}
