// A layer put together from the host's files and from text, in a fixed order and with fixed times and owners.
package main

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// layer collects files for one layer. The first error is kept and reported at the end.
type layer struct {
	file *os.File
	out  *tar.Writer
	made map[string]bool
	err  error
}

func newLayer(path string) *layer {
	file, err := os.Create(path)
	return &layer{file: file, out: tar.NewWriter(file), made: map[string]bool{}, err: err}
}

// text adds a file with this content.
func (l *layer) text(name, content string, mode int64) {
	l.entry(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}, func() error {
		_, err := io.WriteString(l.out, content)
		return err
	})
}

func (l *layer) link(name, target string) {
	l.entry(&tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink, Mode: 0o777}, nil)
}

func (l *layer) folder(name string, mode int64, owner int) {
	l.made[name] = true
	l.entry(&tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: mode, Uid: owner, Gid: owner}, nil)
}

// copy adds one file of the host, followed if it is a link.
func (l *layer) copy(name, from string, mode int64) {
	if l.err != nil {
		return
	}
	file, err := os.Open(from)
	if err != nil {
		l.err = err
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		l.err = err
		return
	}
	l.entry(&tar.Header{Name: name, Mode: mode, Size: info.Size()}, func() error {
		_, err := io.Copy(l.out, file)
		return err
	})
}

// tree adds a folder of the host as it is, in the order of its names.
func (l *layer) tree(name, from string) {
	if l.err != nil {
		return
	}
	l.err = filepath.WalkDir(from, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		inside := path.Join(name, relative)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(at)
			if err != nil {
				return err
			}
			l.link(inside, target)
			return l.err
		}
		l.copy(inside, at, int64(info.Mode().Perm()|0o444))
		return l.err
	})
}

// entry writes one header, after those of the folders above it that no layer below is sure to have.
func (l *layer) entry(head *tar.Header, body func() error) {
	if parent := path.Dir(path.Clean(head.Name)); parent != "." && !l.made[parent] && l.err == nil {
		l.folder(parent, 0o755, 0)
	}
	if l.err != nil {
		return
	}
	head.ModTime, head.Format = epoch, tar.FormatPAX
	if l.err = l.out.WriteHeader(head); l.err == nil && body != nil {
		l.err = body()
	}
}

func (l *layer) close() error {
	if l.err != nil {
		return l.err
	}
	if err := l.out.Close(); err != nil {
		return err
	}
	return l.file.Close()
}
