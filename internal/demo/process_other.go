//go:build !unix

package demo

import (
	"os"
	"syscall"
)

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// signalGroup can only kill here: the other systems know no signals.
func signalGroup(p *os.Process, _ os.Signal) { _ = p.Kill() }
