package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Reopen opens the file of that name again, for log rotation: no record is lost between the two files. If it
// cannot be opened, records continue to go to the file that is open. It does nothing where the sink is not a file.
func (a *Log) Reopen() error {
	if a == nil || a.config.Log == Stderr {
		return nil
	}
	file, partialLine, err := openAppend(a.config.Log)
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.file
	a.sink, a.file, a.partialLine = file, file, partialLine
	if old != nil {
		if err := old.Close(); err != nil {
			return fmt.Errorf("close the previous audit log: %w", err)
		}
	}
	return nil
}

// Close closes the file. Records that come afterward are lost, and counted and logged as such.
func (a *Log) Close() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	a.writeAggregates()
	err := a.file.Close()
	a.file = nil
	if err != nil {
		return fmt.Errorf("close audit log: %w", err)
	}
	return nil
}

// openAppend opens a file for appending, and reports whether it may end within a line. An existing file keeps its
// mode: an operator who lets a group read it has a reason.
func openAppend(path string) (file *os.File, partialLine bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, false, err
	case !info.Mode().IsRegular() && info.Mode()&fs.ModeCharDevice == 0:
		// Opening a pipe blocks until it has a reader, and writing to a full one blocks without bound.
		return nil, false, fmt.Errorf("%s is neither a file nor a device", path)
	default:
		partialLine = info.Mode().IsRegular() && !endsLine(path, info.Size())
	}
	file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	return file, partialLine, err
}

// endsLine reports whether a file ends with a newline. When in doubt it returns false: an empty line does no
// harm, two records in one line do.
func endsLine(path string, size int64) bool {
	if size == 0 {
		return true
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // only read
	last := make([]byte, 1)
	_, err = file.ReadAt(last, size-1)
	return err == nil && last[0] == '\n'
}
