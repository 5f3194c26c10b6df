//go:build bed

package runner

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/bedtest"
	"flywheel.prim.sh/e2e/testbed/internal/bun"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/forge"
	"flywheel.prim.sh/e2e/testbed/internal/image"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

const repo = "repos/" + forge.Org + "/" + forge.Repo

// These tests have a host of their own, where nothing but the forge and its
// runner runs.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Name { // started by Ensure
		if err := Main(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	bedtest.PartMain(m, func(ctx context.Context, b *bed.Bed) error {
		if err := forge.Prepare(ctx, b); err != nil {
			return err
		}
		_, err := programs(ctx, b)
		return err
	})
}

// programs are those of a job, without Flywheel: nothing here runs a gate.
func programs(ctx context.Context, b *bed.Bed) (p Programs, err error) {
	dir, err := bun.Ensure(ctx, b)
	if err != nil {
		return p, err
	}
	p.Bun = filepath.Join(dir, "bun")
	if p.Runner, err = Build(ctx, b); err != nil {
		return p, err
	}
	p.Cache, err = image.Offline(ctx, b)
	return p, err
}

func ensure(ctx context.Context, b *bed.Bed) (string, error) {
	gitea, err := forge.Build(ctx, b)
	if err != nil {
		return "", err
	}
	if _, err := forge.Ensure(ctx, b, gitea); err != nil {
		return "", err
	}
	p, err := programs(ctx, b)
	if err != nil {
		return "", err
	}
	return Ensure(ctx, b, p)
}

// workflowRun is one, as far as it matters here.
type workflowRun struct {
	ID         int64  `json:"id"`
	Path       string `json:"path"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
}

// pushed makes a branch with one more file, whose push starts a workflow, and
// returns its head.
func pushed(t *testing.T, api forge.API, branch, path, content string) string {
	t.Helper()
	var made struct {
		Commit struct {
			Sha string `json:"sha"`
		} `json:"commit"`
	}
	err := api.Do(t.Context(), http.MethodPost, repo+"/contents/"+path, map[string]any{
		"branch": forge.Branch, "new_branch": branch, "message": "Try", "content": base64.StdEncoding.EncodeToString([]byte(content)),
	}, &made)
	if err != nil {
		t.Fatal(err)
	}
	return made.Commit.Sha
}

// ended waits for the workflow's run over a commit, and returns what its jobs printed.
func ended(t *testing.T, api forge.API, workflow, head string) (workflowRun, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		var all struct {
			Runs []workflowRun `json:"workflow_runs"`
		}
		if err := api.Get(ctx, repo+"/actions/runs?head_sha="+head, &all); err != nil {
			t.Fatal(err)
		}
		for _, r := range all.Runs {
			if strings.HasPrefix(r.Path, workflow+"@") && r.Status == "completed" {
				return r, printed(t, api, r)
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the run of %s over %s does not end: %+v", workflow, head, all.Runs)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func printed(t *testing.T, api forge.API, r workflowRun) string {
	t.Helper()
	var jobs struct {
		Jobs []struct {
			ID int64 `json:"id"`
		} `json:"jobs"`
	}
	if err := api.Get(t.Context(), fmt.Sprintf("%s/actions/runs/%d/jobs", repo, r.ID), &jobs); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, job := range jobs.Jobs {
		text, err := api.Text(t.Context(), fmt.Sprintf("%s/actions/jobs/%d/logs", repo, job.ID))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(text)
	}
	return all.String()
}

func admin(t *testing.T, b *bed.Bed) forge.API {
	t.Helper()
	token, err := secretfile.Read(b.Path(forge.FileAdminToken))
	if err != nil || token == "" {
		t.Fatalf("no token of the admin's: %v", err)
	}
	return forge.WithToken(token)
}

func TestAHostileJobReachesAndLeavesNothing(t *testing.T) {
	b, _ := bedtest.Part(t, ensure)
	api := admin(t, b)
	// What stands for the bed's other servers answers, but not to a job.
	addresses := []string{
		net.JoinHostPort(bed.NodeIP, "6443"), net.JoinHostPort(bed.EdgeIP, "2021"), net.JoinHostPort(bed.EdgeIP, "443"),
		net.JoinHostPort(bed.DNSIP, "53"), net.JoinHostPort(bed.NodeIP, "3000"), "127.0.0.1:10257",
	}
	for _, address := range addresses {
		listener, err := netns.Listen(t.Context(), netns.Path(b), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		conn, err := netns.Dial(t.Context(), b, "tcp", address)
		if err != nil {
			t.Fatalf("%s is not reached from the bed either: %v", address, err)
		}
		conn.Close()
	}
	onHost, err := net.Listen("tcp", net.JoinHostPort(bed.HostIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { onHost.Close() })
	addresses = append(addresses, onHost.Addr().String(), "1.1.1.1:443", "169.254.169.254:80", net.JoinHostPort(bed.APIService, "443"))

	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	hostile, err := os.ReadFile("testdata/hostile.yml")
	if err != nil {
		t.Fatal(err)
	}
	mark := strconv.FormatInt(time.Now().UnixNano()/1000, 10)
	branch := "hostile-" + mark
	workflow := strings.NewReplacer("@BRANCH@", branch, "@FORGE@", bed.ForgeIP, "@DNS@", bed.DNSIP, "@STATE@", b.State,
		"@MARK@", mark, "@HOME@", home, "@ADDRESSES@", strings.Join(addresses, " ")).Replace(string(hostile))
	head := pushed(t, api, branch, ".github/workflows/hostile.yml", workflow)
	r, log := ended(t, api, "hostile.yml", head)

	tried := map[string]string{}
	for line := range strings.Lines(log) {
		// A time comes first; the script's own lines have the word further behind.
		_, said, _ := strings.Cut(strings.TrimSpace(line), " ")
		if rest, found := strings.CutPrefix(said, "TRIED "); found {
			if at := strings.LastIndex(rest, ": "); at > 0 {
				tried[rest[:at]] = rest[at+2:]
			}
		}
	}
	want := map[string]string{
		"list " + home: "refused",
		"reach " + forge.URL[len("http://"):len(forge.URL)-1]: "done",
		"capabilities": "none", "privileges": "never", "processes of others": "0", "processes left": "0",
		"say that the gate passed": "403", "start 2000 processes": "refused",
	}
	for _, address := range addresses {
		want["reach "+address] = "refused"
	}
	for _, refused := range []string{
		"ask " + bed.DNSIP + " by UDP", "list " + b.State, "read " + b.State + "/forge/admin-token",
		"list /home", "list /var", "list /sys", "list /usr/local/share", "read /etc/shadow",
		"read /proc/1/environ", "list /proc/1/root/", "list /proc/1/fd/",
		"write /usr/bin/planted", "write /usr/local/bin/flywheel", "write /opt/bun-cache/planted", "write /etc/planted",
		"write /planted", "write /run/runner/registration", "fill memory", "be root", "become root", "mount",
		"find /job/planted", "find /tmp/planted", "find /job/home/planted",
	} {
		want[refused] = "refused"
	}
	for what, result := range want {
		if tried[what] != result {
			t.Errorf("%s: %q, want %q", what, tried[what], result)
		}
	}
	for what := range tried {
		if _, known := want[what]; !known {
			t.Errorf("%s: %s, and nothing says what it should be", what, tried[what])
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", r.Conclusion, log)
	}
	left, err := proc.Where(func(pid int) bool {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err == nil && strings.HasPrefix(string(line), "sleep\x00"+mark)
	})
	if err != nil || len(left) > 0 {
		t.Errorf("processes %v outlive their job (%v)", left, err)
	}
}

// The factory's own checks need nothing that a job has not.
func TestTheFactorysWorkflowRunsWithoutANetwork(t *testing.T) {
	b, _ := bedtest.Part(t, ensure)
	api := admin(t, b)
	switchCI := func(to string) {
		t.Helper()
		if err := api.Do(context.Background(), http.MethodPut, repo+"/actions/workflows/ci.yml/"+to, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	switchCI("enable")
	t.Cleanup(func() { switchCI("disable") })
	branch := fmt.Sprintf("ci-%d", time.Now().UnixNano())
	head := pushed(t, api, branch, "packages/note.md", "A note.\n")
	begin := time.Now()
	if err := api.Do(t.Context(), http.MethodPost, repo+"/pulls", map[string]any{"title": "Note", "head": branch, "base": forge.Branch}, nil); err != nil {
		t.Fatal(err)
	}
	r, log := ended(t, api, "ci.yml", head)
	t.Logf("it took %s", time.Since(begin).Round(time.Millisecond))
	if r.Conclusion != "success" || !strings.Contains(log, " 0 fail") {
		t.Errorf("it ended with %s:\n%s", r.Conclusion, log)
	}
}

func TestItIsHealedAndLeftAlone(t *testing.T) {
	b, again := bedtest.Part(t, ensure)
	if note := again(t); note != "" {
		t.Errorf("it did something: %s", note)
	}
	boxes := waiting(t, b)
	bedtest.Kill(t, b, Name)
	if note := again(t); note != "started" {
		t.Errorf("the note is %q after it was killed", note)
	}
	for _, pid := range boxes {
		if now := members(t, b); slices.Contains(now, pid) {
			t.Errorf("process %d of the old sandbox is still there beside %v", pid, now)
		}
	}
	// Those of killed processes are gone, and it may take a job that still waited.
	api := admin(t, b)
	for late := time.Now().Add(time.Minute); ; {
		var have struct {
			Runners []struct {
				Status string `json:"status"`
			} `json:"runners"`
		}
		if err := api.Get(t.Context(), repo+"/actions/runners", &have); err != nil {
			t.Fatal(err)
		}
		if len(have.Runners) == 1 && have.Runners[0].Status == "online" {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("the forge knows %v, want the one that waits", have.Runners)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// waiting is what the sandbox holds once there is one: between two jobs there is none.
func waiting(t *testing.T, b *bed.Bed) []int {
	t.Helper()
	for late := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if pids := members(t, b); len(pids) > 0 {
			return pids
		}
		if time.Now().After(late) {
			t.Fatal("no runner waits in the sandbox")
		}
	}
}

func members(t *testing.T, b *bed.Bed) []int {
	t.Helper()
	group, err := cluster.Limit(b, Name, limits)
	if err != nil {
		t.Fatal(err)
	}
	pids, err := group.Members()
	if err != nil {
		t.Fatal(err)
	}
	return pids
}
