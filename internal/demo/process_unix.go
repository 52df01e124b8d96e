//go:build unix

package demo

import (
	"os"
	"syscall"
)

// signalGroup sends to the process and its children; that they are gone already is no error.
func signalGroup(p *os.Process, s os.Signal) {
	if sig, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(-p.Pid, sig)
	}
}

// tryLock takes the lock of an open file if nobody has it. The kernel gives it back when the file
// is closed, by a crash too.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}
