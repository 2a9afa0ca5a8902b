package daemon

import (
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
		reply.Devices[i] = ipc.Device{
			ID:           string(dev.ID),
			Path:         dev.Path,
			Manufacturer: dev.Manufacturer,
			Product:      dev.Product,
			VendorID:     int(dev.VendorID),
			ProductID:    int(dev.ProductID),
			Emulated:     dev.Emulated,
		}
	}
	return reply, nil
}

// pick finds the key that a call means: the one it names, or the only one there is.
func (d *Daemon) pick(ctx context.Context, id string) (fido.DeviceInfo, error) {
	devices, err := d.Source.Devices(ctx)
	if err != nil {
		return fido.DeviceInfo{}, err
	}
	var ids []string
	for _, dev := range devices {
		if string(dev.ID) == id {
			return dev, nil
		}
		ids = append(ids, string(dev.ID))
	}
	switch {
	case id != "":
		return fido.DeviceInfo{}, ipc.UnknownDevice{ID: id}
	case len(devices) == 0:
		return fido.DeviceInfo{}, ipc.NoDevice{}
	case len(devices) > 1:
		return fido.DeviceInfo{}, ipc.SeveralDevices{IDs: ids}
	}
	return devices[0], nil
}
