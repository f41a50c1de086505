// Scores events as they come, from Go: what ../c/score_events.c does, with the same lines of
// standard input.
//
//	go build score_events.go && ./score_events model.ecseq < events.txt
package main

// #cgo pkg-config: ecseq
// #include <stdlib.h>
// #include <ecseq/ecseq.h>
import "C"

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"
)

// ErrNotFound says that no such event waits for a label.
var ErrNotFound = errors.New("no such event")

// check calls the library and makes an error of what it returns.
func check(call func() C.ecseq_status) error {
	runtime.LockOSThread() // the message belongs to the thread that called
	defer runtime.UnlockOSThread()
	switch call() {
	case C.ECSEQ_OK:
		return nil
	case C.ECSEQ_NOT_FOUND:
		return ErrNotFound
	}
	return errors.New(C.GoString(C.ecseq_last_error()))
}

// KeyOf is the key of a user or an entity.
func KeyOf(text string) C.uint64_t {
	copied := C.CString(text)
	defer C.free(unsafe.Pointer(copied))
	return C.ecseq_key_of_text(copied, C.size_t(len(text)))
}

// Event lies in C's memory, because C must not be given Go memory that points to Go memory. Make
// one per goroutine and fill it for every event.
type Event struct {
	event  *C.ecseq_event
	values []C.float
	keys   []C.uint64_t // of the entities, one for each relation
}

func allocate(n int, size C.size_t) unsafe.Pointer { return C.calloc(C.size_t(n), size) }

// NewEvent has room for so many values and entities.
func NewEvent(maxValues, maxEntities int) *Event {
	event := (*C.ecseq_event)(allocate(1, C.sizeof_ecseq_event))
	event.struct_size = C.sizeof_ecseq_event
	event.values = (*C.float)(allocate(maxValues, C.sizeof_float))
	event.entities = (*C.ecseq_keys)(allocate(maxEntities, C.sizeof_ecseq_keys))
	keys := unsafe.Slice((*C.uint64_t)(allocate(maxEntities, C.sizeof_uint64_t)), maxEntities)
	relations := unsafe.Slice(event.entities, maxEntities)
	for i := range relations {
		relations[i] = C.ecseq_keys{keys: &keys[i], size: 1}
	}
	return &Event{event, unsafe.Slice(event.values, maxValues), keys}
}

// Free gives the memory back.
func (e *Event) Free() {
	C.free(unsafe.Pointer(&e.keys[0]))
	C.free(unsafe.Pointer(e.event.entities))
	C.free(unsafe.Pointer(e.event.values))
	C.free(unsafe.Pointer(e.event))
}

// Fill makes it the event of the words after the user's: time, values and @entities.
func (e *Event) Fill(words []string) error {
	e.event.n_values, e.event.n_entities = 0, 0
	time, err := strconv.ParseFloat(words[0], 64)
	if err != nil {
		return err
	}
	e.event.time = C.double(time)
	for _, word := range words[1:] {
		if strings.HasPrefix(word, "@") {
			if int(e.event.n_entities) == len(e.keys) {
				return errors.New("too many entities")
			}
			e.keys[e.event.n_entities] = KeyOf(word[1:])
			e.event.n_entities++
			continue
		}
		value, err := strconv.ParseFloat(word, 32)
		if err != nil {
			return err
		}
		if int(e.event.n_values) == len(e.values) {
			return errors.New("too many values")
		}
		e.values[e.event.n_values] = C.float(value)
		e.event.n_values++
	}
	return nil
}

// Live is a model with the states of its users and entities. Any goroutine may use it.
type Live struct{ handle *C.ecseq_live }

// Open loads a model file.
func Open(path string) (*Live, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var handle *C.ecseq_live
	err := check(func() C.ecseq_status { return C.ecseq_live_open(name, nil, &handle) })
	return &Live{handle}, err
}

// Close frees the model; nothing may use it any more.
func (live *Live) Close() { C.ecseq_live_free(live.handle) }

// Score is of the event, which the user and its entities then know of.
func (live *Live) Score(user C.uint64_t, e *Event) (float32, error) {
	id := C.ecseq_event_id(user, e.event.time)
	var score C.float
	err := check(func() C.ecseq_status {
		return C.ecseq_live_event(live.handle, user, id, e.event, &score, 1)
	})
	return float32(score), err
}

// Label says how the user's event at `time` came out, as if known at that moment.
func (live *Live) Label(user C.uint64_t, time, label float64) error {
	id := C.ecseq_event_id(user, C.double(time))
	return check(func() C.ecseq_status {
		return C.ecseq_live_label(live.handle, id, C.double(label), C.double(time))
	})
}

// answer does what one line says.
func answer(live *Live, event *Event, words []string) error {
	if words[0] == "label" && len(words) == 4 {
		time, timeErr := strconv.ParseFloat(words[2], 64)
		label, labelErr := strconv.ParseFloat(words[3], 64)
		if timeErr != nil || labelErr != nil {
			return errors.New("label: expected user, time and label")
		}
		err := live.Label(KeyOf(words[1]), time, label)
		if errors.Is(err, ErrNotFound) {
			fmt.Fprintf(os.Stderr, "label of %s at %s: %v\n", words[1], words[2], err)
			return nil
		}
		return err
	}
	if len(words) < 2 {
		return errors.New("expected a user and a time")
	}
	if err := event.Fill(words[1:]); err != nil {
		return err
	}
	score, err := live.Score(KeyOf(words[0]), event)
	if err == nil {
		fmt.Printf("%.6f\n", score)
	}
	return err
}

func run(path string) error {
	if C.ecseq_abi_version() != C.ECSEQ_ABI_VERSION {
		return errors.New("this program was compiled for another version of the library")
	}
	live, err := Open(path)
	if err != nil {
		return err
	}
	defer live.Close()
	event := NewEvent(256, 16)
	defer event.Free()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 0 {
			if err := answer(live, event, words); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: score_events model.ecseq < events.txt")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
