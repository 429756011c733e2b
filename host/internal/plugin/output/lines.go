// Package output takes in what a plugin's process prints: it keeps the last lines for error messages and turns log lines
// into records. Whatever the process prints, it is never made to wait and never fills memory.
package output

// maxLine is how many bytes of one line are kept. The rest is read and counted.
const maxLine = 8 << 10

// Lines is an io.Writer that cuts what is written into lines and gives each to a function. It is for one goroutine.
type Lines struct {
	emit    func(line string, dropped int) // dropped counts the bytes past maxLine
	buf     []byte
	dropped int
}

// NewLines returns a writer that calls emit for each line, without its line end.
func NewLines(emit func(line string, dropped int)) *Lines { return &Lines{emit: emit} }

// Write never fails and never keeps p.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end, next := len(p), len(p)
		for i, b := range p {
			if b == '\n' {
				end, next = i, i+1
				break
			}
		}
		keep := min(end, maxLine-len(l.buf))
		l.buf = append(l.buf, p[:keep]...)
		l.dropped += end - keep
		if next > end {
			l.flush()
		}
		p = p[next:]
	}
	return n, nil
}

// Close gives out a last line that has no line end.
func (l *Lines) Close() error {
	if len(l.buf) > 0 || l.dropped > 0 {
		l.flush()
	}
	return nil
}

func (l *Lines) flush() {
	line := l.buf
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	l.emit(string(line), l.dropped)
	l.buf, l.dropped = l.buf[:0], 0
}
