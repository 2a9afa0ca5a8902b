package daemon

import (
	"cmp"
	"context"

	"fob/fido"
	"fob/ipc"
	"fob/ipc/varlink"
)

// list implements fob.Device.List.
func (d *Daemon) list(ctx context.Context, _ *varlink.Call) (any, error) {
	devices, err := d.Source.Devices(ctx)
	if err != nil {
		return nil, err
	}
	reply := ipc.ListReply{Devices: make([]ipc.Device, len(devices))}
	for i, dev := range devices {
		reply.Devices[i] = device(dev)
	}
	return reply, nil
}

func device(d fido.DeviceInfo) ipc.Device {
	return ipc.Device{
		ID:           string(d.ID),
		Path:         d.Path,
		Manufacturer: d.Manufacturer,
		Product:      d.Product,
		VendorID:     int(d.VendorID),
		ProductID:    int(d.ProductID),
		Emulated:     d.Emulated,
		Transport:    string(cmp.Or(d.Transport, fido.TransportUSB)),
		Reader:       d.Reader,
	}
}

// pick finds the keys that a call means: the one it names, or all there are, which may be none.
func (d *Daemon) pick(ctx context.Context, id string) ([]fido.DeviceInfo, error) {
	devices, err := d.Source.Devices(ctx)
	if err != nil {
		return nil, err
	}
	for _, dev := range devices {
		if string(dev.ID) == id {
			return []fido.DeviceInfo{dev}, nil
		}
	}
	if id != "" {
		return nil, ipc.UnknownDevice{ID: id}
	}
	return devices, nil
}

func severalDevices(devices []fido.DeviceInfo) ipc.SeveralDevices {
	e := ipc.SeveralDevices{Devices: make([]ipc.Device, len(devices))}
	for i, dev := range devices {
		e.Devices[i] = device(dev)
	}
	return e
}

// deviceIDs are for the log.
func deviceIDs(devices []fido.DeviceInfo) (ids []string) {
	for _, dev := range devices {
		ids = append(ids, string(dev.ID))
	}
	return ids
}
