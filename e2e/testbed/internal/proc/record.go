package proc

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// record is what the bed remembers of a process that it started.
type record struct {
	Pid    int       `json:"pid"`
	Start  uint64    `json:"start"` // clock ticks after boot: pids are reused, this pair is not
	Boot   string    `json:"boot"`
	Digest string    `json:"digest"`
	Since  time.Time `json:"since"`
}

// Status is one recorded process.
type Status struct {
	Name  string
	Pid   int
	Since time.Time
	Alive bool
}

// All lists the recorded processes by name.
func All(b *bed.Bed) ([]Status, error) {
	entries, err := os.ReadDir(b.Path("proc"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, e := range entries {
		name, isRecord := strings.CutSuffix(e.Name(), ".json")
		if !isRecord {
			continue
		}
		rec, err := readRecord(b, name)
		if err != nil {
			return nil, err
		}
		if rec != nil {
			all = append(all, Status{Name: name, Pid: rec.Pid, Since: rec.Since, Alive: rec.alive()})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all, nil
}

func newRecord(pid int, digest string) (*record, error) {
	stat, err := readStat(pid)
	if err != nil {
		return nil, err
	}
	return &record{Pid: pid, Start: stat.start, Boot: bootID(), Digest: digest, Since: time.Now().UTC().Truncate(time.Second)}, nil
}

// alive says whether the recorded process itself still runs, not another that
// was given its pid.
func (r *record) alive() bool {
	if r.Boot != bootID() {
		return false
	}
	stat, err := readStat(r.Pid)
	return err == nil && stat.start == r.Start && stat.running()
}

func readRecord(b *bed.Bed, name string) (*record, error) {
	data, err := os.ReadFile(recordPath(b, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		// A torn record tells nothing; the marks in the environment find its process.
		return nil, nil
	}
	return &rec, nil
}

func writeRecord(b *bed.Bed, name string, rec *record) error {
	path := recordPath(b, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// Digest identifies everything that makes one run of s differ from another.
func (s Spec) Digest(b *bed.Bed) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode([]any{s.Argv, s.Env, s.Dir, s.Host, s.User}); err != nil {
		return "", err
	}
	if !s.Host {
		fmt.Fprintln(h, namespaceInode(b))
	}
	for _, path := range s.Config {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", path, len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
