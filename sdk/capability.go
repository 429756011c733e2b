package sdk

import (
	"fmt"
	"reflect"
	"strings"
)

// Capabilities is a set of what a store can do. On the wire it is a list of words, so that new ones may come.
type Capabilities uint32

// The capabilities. Those with a dot in their word, and "aad", are refinements: each guards a request field.
const (
	CanGet          Capabilities = 1 << iota // get
	CanGetVersion                            // get.version: GetRequest.Version
	CanGetBatch                              // get_batch
	CanStat                                  // stat
	CanList                                  // list
	CanVersions                              // versions
	CanPut                                   // put
	CanPutIfAbsent                           // put.if_absent: IfAbsent
	CanPutIfVersion                          // put.if_version: IfVersion
	CanPutLabels                             // put.labels: PutRequest.Description and Labels
	CanDelete                                // delete
	CanPurge                                 // delete.purge: DeleteRequest.Purge
	CanDeleteWindow                          // delete.window: DeleteRequest.RecoveryWindow
	CanRestore                               // restore
	CanEncrypt                               // encrypt
	CanDecrypt                               // decrypt
	CanAAD                                   // aad: EncryptRequest.AAD and DecryptRequest.AAD
	CanWatch                                 // watch
)

var capabilityWords = [...]string{"get", "get.version", "get_batch", "stat", "list", "versions", "put", "put.if_absent",
	"put.if_version", "put.labels", "delete", "delete.purge", "delete.window", "restore", "encrypt", "decrypt", "aad", "watch"}

// Refinements are the capabilities that no method shows; a settings type claims them.
const Refinements = CanGetVersion | CanPutIfAbsent | CanPutIfVersion | CanPutLabels | CanPurge | CanDeleteWindow | CanAAD

// Has reports whether c holds all of x.
func (c Capabilities) Has(x Capabilities) bool { return c&x == x }

// Names gives the words of c in the contract's order.
func (c Capabilities) Names() []string {
	var out []string
	for i, w := range capabilityWords {
		if c&(1<<i) != 0 {
			out = append(out, w)
		}
	}
	return out
}

// String gives the words of c, separated by commas.
func (c Capabilities) String() string { return strings.Join(c.Names(), ",") }

// ParseCapabilities gives the set of the words it knows. Others are ignored: they come from a newer contract, and nobody
// who does not know a word would use it.
func ParseCapabilities(words []string) Capabilities {
	var c Capabilities
	for _, w := range words {
		for i, k := range capabilityWords {
			if w == k {
				c |= 1 << i
			}
		}
	}
	return c
}

// capabilityMethods names the method of each capability that is shown by one.
var capabilityMethods = []struct {
	can    Capabilities
	method string
	iface  reflect.Type
}{
	{CanGet, "Get", reflect.TypeFor[Getter]()},
	{CanGetBatch, "GetBatch", reflect.TypeFor[BatchGetter]()},
	{CanStat, "Stat", reflect.TypeFor[Stater]()},
	{CanList, "List", reflect.TypeFor[Lister]()},
	{CanVersions, "Versions", reflect.TypeFor[Versioner]()},
	{CanPut, "Put", reflect.TypeFor[Putter]()},
	{CanDelete, "Delete", reflect.TypeFor[Deleter]()},
	{CanRestore, "Restore", reflect.TypeFor[Restorer]()},
	{CanEncrypt, "Encrypt", reflect.TypeFor[Encrypter]()},
	{CanDecrypt, "Decrypt", reflect.TypeFor[Decrypter]()},
	{CanWatch, "Watch", reflect.TypeFor[Watcher]()},
}

// methodsOf reads the capabilities off a store's type. A method that is named like a capability but has another signature
// would vanish in silence, so it is an error.
func methodsOf(t reflect.Type) (Capabilities, error) {
	var c Capabilities
	for _, m := range capabilityMethods {
		switch _, named := t.MethodByName(m.method); {
		case t.Implements(m.iface):
			c |= m.can
		case named:
			return 0, fmt.Errorf("%s has a method %s with another signature than %s's", t, m.method, m.iface)
		}
	}
	return c, nil
}
