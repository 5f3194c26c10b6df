package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// epoch is the time of every file and image. The time of a build is no part of
// what was built.
var epoch = time.Unix(0, 0).UTC()

// entry is one file of a layer. Exactly one of its contents is set, or none
// for a directory.
type entry struct {
	mode   int64
	source string // a file on this machine
	data   []byte
	link   string // target of a symbolic link
	dir    bool
}

// Layer is a set of files to be put into an image. The zero value is empty.
// Owners are root and times are fixed, so that equal contents make equal bytes.
type Layer struct {
	entries map[string]entry
	err     error // the first mistake of its making; Write reports it
}

// Dir adds an empty directory. Parents of other entries need no mention.
func (l *Layer) Dir(at string, mode int64) { l.add(at, entry{mode: mode, dir: true}) }

// File adds the file source of this machine at the path at.
func (l *Layer) File(at, source string, mode int64) {
	info, err := os.Stat(source)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", source)
	}
	if err != nil {
		l.fail(err)
		return
	}
	l.add(at, entry{mode: mode, source: source})
}

// Data adds a file with these bytes.
func (l *Layer) Data(at string, data []byte, mode int64) {
	l.add(at, entry{mode: mode, data: append([]byte{}, data...)})
}

// Symlink adds a symbolic link to target.
func (l *Layer) Symlink(at, target string) { l.add(at, entry{mode: 0o777, link: target}) }

// Tree adds what is below the directory source. With keep, only files for
// whose path (relative, with slashes) it returns true. Modes become 0755 for
// what is executable and 0644 for the rest: a umask is no part of an image.
func (l *Layer) Tree(at, source string, keep func(relative string) bool) {
	err := filepath.WalkDir(source, func(file string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() {
			return err
		}
		relative, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		if keep != nil && !keep(relative) {
			return nil
		}
		to := path.Join(at, relative)
		if item.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			l.Symlink(to, target)
			return nil
		}
		info, err := item.Info()
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		l.File(to, file, mode)
		return nil
	})
	if err != nil {
		l.fail(err)
	}
}

func (l *Layer) add(at string, e entry) {
	if l.entries == nil {
		l.entries = map[string]entry{}
	}
	name := strings.TrimPrefix(path.Clean("/"+at), "/")
	if _, taken := l.entries[name]; taken || name == "" {
		l.fail(fmt.Errorf("two files for /%s in one layer", name))
		return
	}
	l.entries[name] = e
}

func (l *Layer) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// writeTo writes the layer as a tar: every directory before what is in it, all
// else by name.
func (l *Layer) writeTo(w io.Writer) error {
	if l.err != nil {
		return l.err
	}
	all := map[string]entry{}
	for name, e := range l.entries {
		all[name] = e
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			if at, ok := l.entries[parent]; ok && !at.dir {
				return fmt.Errorf("/%s is a file, and /%s would be in it", parent, name)
			} else if !ok {
				all[parent] = entry{mode: 0o755, dir: true}
			}
		}
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	archive := tar.NewWriter(w)
	for _, name := range names {
		if err := all[name].writeTo(archive, name); err != nil {
			return fmt.Errorf("/%s: %w", name, err)
		}
	}
	return archive.Close()
}

func (e entry) writeTo(archive *tar.Writer, name string) error {
	header := tar.Header{Name: name, Mode: e.mode, ModTime: epoch}
	switch {
	case e.dir:
		header.Typeflag, header.Name = tar.TypeDir, name+"/"
		return archive.WriteHeader(&header)
	case e.link != "":
		header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
		return archive.WriteHeader(&header)
	case e.source == "":
		header.Typeflag, header.Size = tar.TypeReg, int64(len(e.data))
		if err := archive.WriteHeader(&header); err != nil {
			return err
		}
		_, err := archive.Write(e.data)
		return err
	}
	file, err := os.Open(e.source)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(&header); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
