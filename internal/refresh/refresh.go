// Package refresh reloads values from files when the files change.
//
// Guarantee: a [Value] was read and parsed completely and without error, from all its files in one consistent
// state. A missing, partly written or invalid file keeps the previous value and is reported.
//
// Not promised here: that an error which a parse function returns shows no secret.
//
// Files are polled every few seconds. Notifications of the file system (fsnotify, and the certificate
// watchers built on it) are about inodes: each way of renewing a file needs its own care (Kubernetes swaps
// a symbolic link two directories up, others rename), network file systems send none, and so the watchers
// poll as well. Reading a few kilobytes and comparing sees all of it and costs microseconds.
package refresh

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultInterval is the polling interval unless [Options] sets one.
	DefaultInterval = 2 * time.Second
	// maxSize bounds a file: one that grows without end, or is the wrong file, is not read into
	// memory every few seconds.
	maxSize = 4 << 20
)

// Options configure polling. The zero value is ready for use.
type Options struct {
	// Interval is the time between polls; 0 is [DefaultInterval]. A change is loaded at the second poll that
	// finds it, so that no file is loaded while it is still being written.
	Interval time.Duration
	// OnChange, unless nil, is called when new content was loaded (nil) or is invalid (the error, with the
	// file's name), once for each content and after each Reload. It is called by one
	// goroutine at a time, and may call Get, but neither Reload nor Close.
	OnChange func(error)
}

// Value is the value read from files. It is made by [File] or [Files] and safe for use by many goroutines.
type Value[T any] struct {
	paths    []string
	parse    func([][]byte) (T, error)
	onChange func(error)

	current atomic.Pointer[T]

	mu         sync.Mutex
	lastPolled contentHash // at the last poll
	parsed     contentHash // parsed last, valid or not
	err        error       // error of parsed

	closed  chan struct{}
	close   func()
	polling sync.WaitGroup
}

// contentHash identifies a state of the files. It is a hash, so that secrets are not kept twice.
type contentHash [sha256.Size]byte

// File reads and polls one file. If its content is invalid now, it returns an error.
func File[T any](path string, parse func([]byte) (T, error), o Options) (*Value[T], error) {
	return Files([]string{path}, func(contents [][]byte) (T, error) { return parse(contents[0]) }, o)
}

// Files reads and polls files that form one value, such as a certificate and its key: parse gets the content
// of each, in order, and returns an error if they do not match.
func Files[T any](paths []string, parse func([][]byte) (T, error), o Options) (*Value[T], error) {
	v := &Value[T]{paths: paths, parse: parse, onChange: o.OnChange, closed: make(chan struct{})}
	v.close = sync.OnceFunc(func() { close(v.closed) })
	if v.onChange == nil {
		v.onChange = func(error) {}
	}
	now, contents, err := v.read()
	if v.parseContent(now, contents, err); v.err != nil {
		return nil, v.err
	}
	interval := o.Interval
	if interval == 0 {
		interval = DefaultInterval
	}
	v.polling.Go(func() { v.pollLoop(interval) })
	return v, nil
}

// Get returns the last valid value. It is one atomic load.
func (v *Value[T]) Get() T { return *v.current.Load() }

// Err returns the error of the files' current content; nil if Get returns it. It is for a metric.
func (v *Value[T]) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// Reload reads the files now, for an operator who has changed them (SIGHUP).
func (v *Value[T]) Reload() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	now, contents, err := v.read()
	v.parseContent(now, contents, err)
	v.onChange(v.err)
	return v.err
}

// Close stops polling, and returns when it has stopped. The value is kept.
func (v *Value[T]) Close() {
	v.close()
	v.polling.Wait()
}

func (v *Value[T]) pollLoop(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-v.closed:
			return
		case <-ticker.C:
			v.poll()
		}
	}
}

// poll loads content that is new and unchanged since the poll before.
func (v *Value[T]) poll() {
	v.mu.Lock()
	defer v.mu.Unlock()
	now, contents, err := v.read()
	settled := now == v.lastPolled
	v.lastPolled = now
	if now == v.parsed || !settled {
		return
	}
	v.parseContent(now, contents, err)
	v.onChange(v.err)
}

// parseContent parses the files' content, and keeps the previous value if it is invalid.
func (v *Value[T]) parseContent(now contentHash, contents [][]byte, err error) {
	v.lastPolled, v.parsed = now, now
	if v.err = err; err != nil {
		return
	}
	value, err := v.parse(contents)
	if err != nil {
		v.err = fmt.Errorf("%s: %w", v.name(), err)
		return
	}
	v.current.Store(&value)
}

// read reads all files. A read error counts as content too, and must be stable like other content.
func (v *Value[T]) read() (contentHash, [][]byte, error) {
	contents, sum := make([][]byte, 0, len(v.paths)), sha256.New()
	for _, path := range v.paths {
		data, err := readRegular(path)
		if err != nil {
			return sha256.Sum256([]byte(err.Error())), nil, err
		}
		contents = append(contents, data)
		_ = binary.Write(sum, binary.BigEndian, uint64(len(data))) // a hash takes everything
		sum.Write(data)
	}
	return contentHash(sum.Sum(nil)), contents, nil
}

func (v *Value[T]) name() string {
	name := v.paths[0]
	for _, path := range v.paths[1:] {
		name += " and " + path
	}
	return name
}

// readRegular reads a regular file only: opening a pipe would block.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return ReadFile(path, maxSize)
}

// ReadFile reads a file of at most so many bytes, once. Its error is an [*fs.PathError]; a file that is longer is one
// too, since it is rather the wrong file. It takes pipes as well, and then waits for their end.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > most:
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("has more than %d bytes; is it the right file?", most)}
	}
	return data, nil
}
