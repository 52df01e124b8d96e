//go:build !unix

package demo

import (
	"errors"
	"os"
	"syscall"
)

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// signalGroup can only kill here: the other systems know no signals.
func signalGroup(p *os.Process, _ os.Signal) { _ = p.Kill() }

// tryLock refuses: without a lock two builds would write over each other.
func tryLock(*os.File) (bool, error) {
	return false, errors.New("building Loki needs a Unix system: set " + EnvLoki + " to a Loki of your own")
}
