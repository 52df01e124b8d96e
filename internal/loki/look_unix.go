//go:build unix

package loki

import (
	"net"
	"syscall"
)

// canLook says that a connection can be looked at without waiting for anything to come.
const canLook = true

// look makes a function that tells whether there is nothing to read on a connection at this moment. What
// there is, it takes: such a connection is of no more use.
func look(conn net.Conn) (quiet func() bool) {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return func() bool { return false }
	}
	socket, err := raw.SyscallConn()
	if err != nil {
		return func() bool { return false }
	}
	var nothing bool
	read := func(fd uintptr) bool {
		var one [1]byte
		_, err := syscall.Read(int(fd), one[:])
		nothing = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true // it is not to wait
	}
	return func() bool {
		nothing = false
		return socket.Read(read) == nil && nothing
	}
}
