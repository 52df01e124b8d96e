//go:build !linux

package gateway

import (
	"errors"
	"net"
)

func boundUnsent(*net.TCPConn) error { return errors.ErrUnsupported }
