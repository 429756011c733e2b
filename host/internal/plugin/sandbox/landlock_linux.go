package sandbox

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The versions of Landlock's interface that brought what we use.
const (
	abiRefer    = 2
	abiTruncate = 3
	abiPorts    = 4
	abiIoctl    = 5
	abiScopes   = 6
	abiUnixPath = 9
	abiUDP      = 10
)

// erratumSignals is the mend without which the signal scope keeps a thread from signalling its own process, as Go does to
// preempt goroutines.
const erratumSignals = 1 << 1

// What a grant gives. A right that the kernel does not handle, or that a file cannot have, is left out of it.
const (
	readRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	execRights  = unix.LANDLOCK_ACCESS_FS_EXECUTE | readRights
	writeRights = readRights | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_REFER |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG
	socketRights = writeRights | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK
	deviceRights = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	fileRights   = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_EXECUTE
)

// handled is everything that a version knows: what is handled and not granted is refused.
func handled(have Layers) unix.LandlockRulesetAttr {
	abi := have.Landlock
	var a unix.LandlockRulesetAttr
	since := func(version int, set *uint64, rights uint64) {
		if abi >= version {
			*set |= rights
		}
	}
	since(1, &a.Handled_access_fs, unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1-1) // the first thirteen
	since(abiRefer, &a.Handled_access_fs, unix.LANDLOCK_ACCESS_FS_REFER)
	since(abiTruncate, &a.Handled_access_fs, unix.LANDLOCK_ACCESS_FS_TRUNCATE)
	since(abiPorts, &a.Handled_access_net, unix.LANDLOCK_ACCESS_NET_BIND_TCP|unix.LANDLOCK_ACCESS_NET_CONNECT_TCP)
	since(abiIoctl, &a.Handled_access_fs, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV)
	since(abiScopes, &a.Scoped, unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET)
	if have.LandlockErrata&erratumSignals != 0 {
		since(abiScopes, &a.Scoped, unix.LANDLOCK_SCOPE_SIGNAL)
	}
	since(abiUnixPath, &a.Handled_access_fs, unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX)
	since(abiUDP, &a.Handled_access_net, unix.LANDLOCK_ACCESS_NET_BIND_UDP|unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP)
	return a
}

// ruleset is a Landlock ruleset that is being filled.
type ruleset struct {
	fd      int
	fs, net uint64 // what it handles
}

// openRuleset makes the ruleset of a policy. The caller closes it.
func openRuleset(p Policy, have Layers) (int, error) {
	attr := handled(have)
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return -1, fmt.Errorf("landlock_create_ruleset: %w", errno)
	}
	s := ruleset{int(fd), attr.Handled_access_fs, attr.Handled_access_net}
	if err := s.fill(p); err != nil {
		_ = unix.Close(s.fd)
		return -1, err
	}
	return s.fd, nil
}

func (s ruleset) fill(p Policy) error {
	for _, g := range grants(p) {
		if err := s.grantPath(g); err != nil {
			return err
		}
	}
	if p.Image != nil {
		// A file without a name in any directory, as a memfd is, needs no rule and takes none.
		err := s.grantOpen(int(p.Image.Fd()), execRights&fileRights)
		if err != nil && !errors.Is(err, unix.EBADFD) {
			return fmt.Errorf("landlock rule for the image: %w", err)
		}
	}
	if p.Network != Direct {
		return nil
	}
	for _, g := range ports(p.Ports) {
		if err := s.grantPort(g); err != nil {
			return err
		}
	}
	return nil
}

// grantPath grants what exists and can be reached; the rest would be out of the process's reach too.
func (s ruleset) grantPath(g grant) error {
	fd, err := unix.Open(g.path, unix.O_PATH|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EACCES):
		return nil
	case err != nil:
		return fmt.Errorf("landlock rule for %q: %w", g.path, err)
	}
	defer unix.Close(fd)
	rights := g.rights
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("landlock rule for %q: %w", g.path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	if err := s.grantOpen(fd, rights); err != nil {
		return fmt.Errorf("landlock rule for %q: %w", g.path, err)
	}
	return nil
}

func (s ruleset) grantOpen(fd int, rights uint64) error {
	a := unix.LandlockPathBeneathAttr{Allowed_access: rights & s.fs, Parent_fd: int32(fd)}
	return s.add(unix.LANDLOCK_RULE_PATH_BENEATH, unsafe.Pointer(&a))
}

// portAttr is the kernel's struct landlock_net_port_attr, and ruleNetPort its LANDLOCK_RULE_NET_PORT.
type portAttr struct{ rights, port uint64 }

const ruleNetPort = 2

func (s ruleset) grantPort(a portAttr) error {
	if a.rights &= s.net; a.rights == 0 {
		return nil // this kernel does not know it
	}
	if err := s.add(ruleNetPort, unsafe.Pointer(&a)); err != nil {
		return fmt.Errorf("landlock rule for port %d: %w", a.port, err)
	}
	return nil
}

func (s ruleset) add(kind uintptr, attr unsafe.Pointer) error {
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(s.fd), kind, uintptr(attr), 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
