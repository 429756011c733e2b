//go:build linux && (amd64 || arm64)

package seccomp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Rule decides about one system call.
type Rule struct {
	call   uint32
	decide []bpf.Instruction // returns on every path
}

// Deny refuses calls altogether.
func Deny(calls ...uint32) []Rule { return each(calls, deny) }

// Absent answers as a kernel that does not have these calls.
func Absent(calls ...uint32) []Rule { return each(calls, absent) }

func each(calls []uint32, answer bpf.RetConstant) []Rule {
	rules := make([]Rule, len(calls))
	for i, c := range calls {
		rules[i] = Rule{c, []bpf.Instruction{answer}}
	}
	return rules
}

// DenyBits refuses a call whose argument, counted from 0, has any of the bits.
func DenyBits(call uint32, arg int, bits uint32) Rule {
	return Rule{call, []bpf.Instruction{load(arg), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bits, SkipFalse: 1}, deny, allow}}
}

// NeedBit refuses a call whose argument lacks the bit.
func NeedBit(call uint32, arg int, bit uint32) Rule {
	return Rule{call, []bpf.Instruction{load(arg), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bit, SkipTrue: 1}, deny, allow}}
}

// DenyValues refuses a call whose argument has one of the values.
func DenyValues(call uint32, arg int, values ...uint32) Rule {
	decide := []bpf.Instruction{load(arg)}
	for _, v := range values {
		decide = append(decide, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipFalse: 1}, deny)
	}
	return Rule{call, append(decide, allow)}
}

// NeedValue refuses a call whose argument has none of the values.
func NeedValue(call uint32, arg int, values ...uint32) Rule {
	return Rule{call, append(append([]bpf.Instruction{load(arg)}, among(values)...), allow)}
}

// Socket is a kind of socket: one family with the types and protocols that it may have.
type Socket struct {
	Family    uint32
	Types     []uint32
	Protocols []uint32
}

// typeMask takes the flags off a socket's type.
const typeMask = 0xf

// NeedSocket refuses a call with the arguments of socket(2) that asks for another kind of socket.
func NeedSocket(call uint32, kinds ...Socket) Rule {
	var decide []bpf.Instruction
	for _, k := range kinds {
		kind := []bpf.Instruction{load(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: typeMask}}
		kind = append(append(kind, among(k.Types)...), load(2))
		kind = append(append(kind, among(k.Protocols)...), allow)
		decide = append(decide, load(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: k.Family, SkipFalse: uint8(len(kind))})
		decide = append(decide, kind...)
	}
	return Rule{call, append(decide, deny)}
}

// load brings an argument's low half into the register.
func load(arg int) bpf.Instruction {
	return bpf.LoadAbsolute{Off: offsetArgs + 8*uint32(arg), Size: 4}
}

// among refuses unless the register holds one of the values, and then goes on.
func among(values []uint32) []bpf.Instruction {
	var out []bpf.Instruction
	for i, v := range values {
		out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return append(out, deny)
}

// NewNamespaces are the flags of clone(2) that make a new namespace.
const NewNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET
