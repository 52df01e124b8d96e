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
