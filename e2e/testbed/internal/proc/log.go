package proc

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

const (
	logLimit  = 16 << 20 // a log beyond this is set aside at the next start
	tailBytes = 16 << 10
	tailLines = 15
)

// LogPath is where the output of the named process goes.
func LogPath(b *bed.Bed, name string) string { return b.Path("logs", name+".log") }

// openLog opens the log for appending and tells where this run's output begins.
func openLog(b *bed.Bed, name string) (*os.File, int64, error) {
	path := LogPath(b, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, 0, err
	}
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, err
		}
	}
	// 0600: a server may print what should not be read by every user.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// tail is the end of what the process logged since offset, for an error.
func tail(b *bed.Bed, name string, offset int64) string {
	path := LogPath(b, name)
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size()-offset > tailBytes {
		offset = info.Size() - tailBytes
	}
	data, err := io.ReadAll(io.NewSectionReader(f, offset, tailBytes))
	if err != nil || len(data) == 0 {
		return fmt.Sprintf("\n%s holds nothing of this run", path)
	}
	return fmt.Sprintf("\nthe end of %s:\n%s", path, lines(string(data), tailLines))
}
