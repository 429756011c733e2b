// Package listen makes the Unix sockets of keyway serve. The file's mode keeps others out, and beyond that the kernel is asked
// who each connection comes from: only the user that serves, root, and the members of the socket's group are let in, and never
// a plugin.
package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/keyway-dev/keyway/internal/peer"
	"github.com/keyway-dev/keyway/sdk"
)

// Listener is a socket that judges who connects. It is made before the host that its connections are for, so Admit comes
// before the first Accept; meanwhile the kernel keeps them waiting.
type Listener struct {
	*net.UnixListener
	group   int // whose members may connect; noGroup: nobody's
	owner   int // the user that serves
	log     *slog.Logger
	lock    *os.File            // held while it listens; nil where the service manager made the socket
	plugins func() map[int]bool // processes that are not let in
}

const noGroup = -1

// Open listens at path with mode 0600, or 0660 and the group, a name or number, where that is not empty. A socket that a dead
// process left is replaced; one where somebody listens is AlreadyExists, and a file that is no socket FailedPrecondition.
func Open(ctx context.Context, path, group string, log *slog.Logger) (*Listener, error) {
	gid, err := groupID(group)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidArgument, "listen %s: %w", path, err)
	}
	lock, err := claim(path)
	if err != nil {
		return nil, err
	}
	u, err := bind(ctx, path, gid)
	if err != nil {
		return nil, errors.Join(err, release(lock))
	}
	return &Listener{UnixListener: u, group: gid, owner: os.Geteuid(), log: log, lock: lock}, nil
}

// Adopt takes a socket that the service manager made. Its group is the file's, if its mode lets the group write.
func Adopt(l net.Listener, log *slog.Logger) (*Listener, error) {
	u, ok := l.(*net.UnixListener)
	if !ok {
		return nil, sdk.Errorf(sdk.InvalidArgument, "listen %s: the service manager hands over a socket of the kind %s; keyway serves on Unix sockets", l.Addr(), l.Addr().Network())
	}
	gid := noGroup
	if info, err := os.Stat(u.Addr().String()); err == nil && info.Mode().Perm()&0o020 != 0 {
		gid = groupOf(info)
	}
	return &Listener{UnixListener: u, group: gid, owner: os.Geteuid(), log: log}, nil
}

func groupID(group string) (int, error) {
	if group == "" {
		return noGroup, nil
	}
	if n, err := strconv.ParseUint(group, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return noGroup, fmt.Errorf("%w: create it, or name another group", err)
	}
	return strconv.Atoi(g.Gid)
}

// bind makes the socket. The caller holds the lock, so a socket that is there is stale, unless a program that knows no lock
// listens on it.
func bind(ctx context.Context, path string, gid int) (*net.UnixListener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, sdk.Errorf(sdk.FailedPrecondition, "listen %s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, sdk.Errorf(sdk.FailedPrecondition, "listen %s: there is a file that is no socket; remove it, or listen elsewhere", path)
	default:
		if err := removeStale(ctx, path); err != nil {
			return nil, err
		}
	}
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "listen %s: %w", path, err)
	}
	if err := open(path, gid); err != nil {
		return nil, errors.Join(sdk.Errorf(sdk.FailedPrecondition, "listen %s: %w; only root gives a socket to a group that it is not in", path, err), u.Close())
	}
	return u, nil
}

// dialTimeout bounds the question whether a socket is alive: a local one answers at once, or its backlog is full.
const dialTimeout = time.Second

func removeStale(ctx context.Context, path string) error {
	d := net.Dialer{Timeout: dialTimeout}
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		return errors.Join(sdk.Errorf(sdk.AlreadyExists, "listen %s: another program listens there; end it, or listen elsewhere", path), c.Close())
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sdk.Errorf(sdk.FailedPrecondition, "listen %s: the socket that is left over cannot be removed: %w", path, err)
	}
	return nil
}

// open gives a new socket its mode and group. The program's umask has kept everybody else out until now.
func open(path string, gid int) error {
	if gid == noGroup {
		return os.Chmod(path, 0o600)
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return err
	}
	return os.Chmod(path, 0o660)
}

// Admit names the processes that are never let in: a plugin that may open sockets of its own must not read here what other
// plugins hold.
func (l *Listener) Admit(plugins func() map[int]bool) { l.plugins = plugins }

// Accept gives the next connection that may be served. Others are closed and logged.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if err := l.judge(c); err != nil {
			l.log.Warn("connection refused", "listener", l.Addr().String(), "error", err)
			_ = c.Close()
			continue
		}
		return c, nil
	}
}

// judge refuses whom the socket is not for.
func (l *Listener) judge(c *net.UnixConn) error {
	if !peer.Known {
		return nil // the file's mode has decided
	}
	id, err := peer.Of(c)
	if err != nil {
		return err
	}
	plugins := l.plugins()
	if plugins[id.PID] || plugins[processGroup(id.PID)] {
		return fmt.Errorf("process %d is a plugin of this host", id.PID)
	}
	if id.UID == l.owner || id.UID == 0 {
		return nil
	}
	if l.group != noGroup {
		groups, err := peer.Groups(c)
		if err != nil || slices.Contains(groups, l.group) {
			return err
		}
	}
	return fmt.Errorf("process %d of user %d is neither the user that serves nor in the socket's group", id.PID, id.UID)
}

// Close stops listening, removes the socket that Open made and lets the next process have its place.
func (l *Listener) Close() error {
	return errors.Join(l.UnixListener.Close(), release(l.lock))
}
