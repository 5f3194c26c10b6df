// Package secretfile keeps the test bed's keys, tokens and passwords: one value
// per file, readable by its owner alone. Values never go through arguments or
// logs; whoever needs one is told the file.
package secretfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Read is the value in path without surrounding white space. A file that does
// not exist holds the empty value.
func Read(path string) (string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Write puts value into path with mode 0600, making the directory when needed.
// The file is replaced as a whole: a reader sees the old value or the new one.
func Write(path, value string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	// CreateTemp makes its file with mode 0600.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	_, err = f.WriteString(value + "\n")
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error that matters is the first
		return fmt.Errorf("write secret: %w", err)
	}
	return nil
}

// Ensure is the value in path; when there is none yet, it is what generate
// makes, and path holds it from then on.
func Ensure(path string, generate func() string) (string, error) {
	value, err := Read(path)
	if err != nil || value != "" {
		return value, err
	}
	value = generate()
	return value, Write(path, value)
}

// Random is a fresh value of 256 bits in hexadecimal.
func Random() string {
	return hex.EncodeToString(Bytes(32))
}

// Bytes is n fresh random bytes.
func Bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}
