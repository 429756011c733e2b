//go:build linux && (amd64 || arm64)

package sandbox

import (
	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/internal/seccomp"
)

func filterAvailable() bool { return seccomp.Available() }

// filter gives what puts the policy's filter on the calling thread. What the host's fork and the start of the program need
// passes: execve, clone for threads, setpgid, the death signal, limits of oneself.
func filter(p Policy) (install func() error, err error) {
	rules := seccomp.Deny(denied...)
	rules = append(rules, seccomp.Deny(legacy...)...)
	if !p.Writes {
		rules = append(rules, seccomp.Deny(unix.SYS_FCHMOD)...)
	}
	rules = append(rules,
		seccomp.DenyBits(unix.SYS_CLONE, 0, seccomp.NewNamespaces|unix.CLONE_PARENT|unix.CLONE_PTRACE), // nor a child of the host's
		seccomp.NeedValue(unix.SYS_PTRACE, 0, unix.PTRACE_TRACEME, unix.PTRACE_DETACH),                 // how the host holds it until it is limited
		seccomp.NeedValue(unix.SYS_TGKILL, 2, uint32(unix.SIGURG)),                                     // how Go preempts a goroutine
		seccomp.NeedValue(unix.SYS_PRLIMIT64, 0, 0),                                                    // its own limits, never the host's
		// A descriptor's owner is signalled when data comes, with the signal of one's choice.
		seccomp.DenyValues(unix.SYS_FCNTL, 1, unix.F_SETOWN, unix.F_SETOWN_EX, unix.F_SETSIG),
		seccomp.DenyValues(unix.SYS_IOCTL, 1, fiosetown, siocspgrp, unix.TIOCSTI, unix.TIOCLINUX),
		// TCP fast open connects without connect(2).
		seccomp.DenyBits(unix.SYS_SENDTO, 3, unix.MSG_FASTOPEN),
		seccomp.DenyBits(unix.SYS_SENDMSG, 2, unix.MSG_FASTOPEN),
		seccomp.DenyBits(unix.SYS_SENDMMSG, 3, unix.MSG_FASTOPEN),
	)
	rules = append(rules, seccomp.Absent(unix.SYS_CLONE3)...) // its flags are in memory, out of sight; libraries then use clone
	f, err := seccomp.Assemble(append(rules, sockets(p)...)...)
	if err != nil {
		return nil, err
	}
	return f.Thread, nil
}

// ioctl(2) requests that do what F_SETOWN does; golang.org/x/sys does not have them.
const (
	fiosetown = 0x8901
	siocspgrp = 0x8902
)

// sockets are the rules of a policy's network. A Unix socket is a stream, since a datagram is sent to a path without
// connect(2).
func sockets(p Policy) []seccomp.Rule {
	listener := seccomp.Socket{Family: unix.AF_UNIX, Types: []uint32{unix.SOCK_STREAM}, Protocols: []uint32{0}}
	pair := seccomp.NeedSocket(unix.SYS_SOCKETPAIR, listener)
	switch {
	case p.Network == Direct:
		kinds := []seccomp.Socket{listener, {
			// Routes, where a resolver or a dialer sees which addresses it has.
			Family: unix.AF_NETLINK, Types: []uint32{unix.SOCK_RAW, unix.SOCK_DGRAM}, Protocols: []uint32{unix.NETLINK_ROUTE}}}
		for _, family := range []uint32{unix.AF_INET, unix.AF_INET6} {
			// No raw socket, and no protocol whose connections Landlock's rules for TCP do not see: MPTCP, SCTP.
			kinds = append(kinds, seccomp.Socket{Family: family, Types: []uint32{unix.SOCK_STREAM, unix.SOCK_DGRAM},
				Protocols: []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP}})
		}
		return []seccomp.Rule{seccomp.NeedSocket(unix.SYS_SOCKET, kinds...), pair}
	case p.Socket != "":
		return append(seccomp.Deny(unix.SYS_CONNECT), seccomp.NeedSocket(unix.SYS_SOCKET, listener), pair)
	}
	return seccomp.Deny(unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4)
}
