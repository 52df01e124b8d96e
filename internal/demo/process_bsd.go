//go:build unix && !linux

package demo

import "syscall"

// childAttr: these systems cannot tie a child's life to ours, so one that outlives a killed parent
// has to be ended by hand.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
