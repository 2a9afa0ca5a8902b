package varlink

import (
	"context"
	_ "embed"
)

const serviceName = "org.varlink.service"

//go:embed org.varlink.service.varlink
var serviceDescription string

// registerService adds the interface through which every service describes itself (https://varlink.org/Service).
func (s *Server) registerService() {
	s.interfaces = make(map[string]*registered)
	err := s.register(serviceDescription, map[string]Handler{
		"GetInfo":                 s.getInfo,
		"GetInterfaceDescription": s.getInterfaceDescription,
	})
	if err != nil {
		panic(err) // the text is part of this program
	}
}

func (s *Server) getInfo(context.Context, *Call) (any, error) {
	return struct {
		Vendor     string   `json:"vendor"`
		Product    string   `json:"product"`
		Version    string   `json:"version"`
		URL        string   `json:"url"`
		Interfaces []string `json:"interfaces"`
	}{s.Vendor, s.Product, s.Version, s.URL, s.names}, nil
}

func (s *Server) getInterfaceDescription(_ context.Context, c *Call) (any, error) {
	var in struct {
		Interface string `json:"interface"`
	}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if in.Interface == "" {
		return nil, InvalidParameter{"interface"}
	}
	iface, ok := s.interfaces[in.Interface]
	if !ok {
		return nil, InterfaceNotFound{in.Interface}
	}
	return map[string]string{"description": iface.description}, nil
}
