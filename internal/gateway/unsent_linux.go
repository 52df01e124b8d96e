package gateway

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// boundUnsent bounds what is written to a connection and not yet sent (TCP_NOTSENT_LOWAT, in the kernel since 3.12). Data that is
// sent and not acknowledged is not bounded, so the throughput is that of before.
func boundUnsent(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
	return errors.Join(err, failed)
}
