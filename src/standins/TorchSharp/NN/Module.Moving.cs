using System.Reflection;
using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public partial class Module
        {
            private DeviceType deviceType = DeviceType.CPU;
            private int deviceIndex = -1;

            protected internal virtual Module _to(Device device, ScalarType dtype, bool non_blocking)
            {
                RequireFloating(dtype);
                var target = Reachable(device.type, device.index);
                _toEpilog(dtype, target, non_blocking);
                return this;
            }

            protected internal virtual Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking)
            {
                var target = Reachable(deviceType, deviceIndex);
                if (target.type != this.deviceType || target.index != this.deviceIndex)
                    _toEpilog(null, target, non_blocking);
                return this;
            }

            protected internal virtual Module _to(ScalarType dtype, bool non_blocking)
            {
                RequireFloating(dtype);
                _toEpilog(dtype, null, non_blocking);
                return this;
            }

            /// <summary>
            /// Converts the submodules, then puts converted tensors in the place of this module's own: in its lists and in
            /// the property or field of that name. A parameter's old tensor is disposed, its gradient goes along.
            /// </summary>
            protected virtual void _toEpilog(ScalarType? dtype, Device? device, bool non_blocking)
            {
                MoveNative(dtype, device);
                foreach (var (_, child) in named_children())
                    Convert(child, dtype, device, non_blocking);

                var fields = Fields().ToDictionary(ComponentName);
                var properties = GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance).ToDictionary(property => property.Name);

                foreach (var (name, parameter) in named_parameters(false).ToList())
                {
                    if (!ReplaceParameter(dtype, device, parameter, out var converted))
                        continue;
                    if (properties.TryGetValue(name, out var property))
                    {
                        property.SetValue(this, converted);
                        continue;
                    }
                    parameter.Dispose();
                    ConditionallyRegisterParameter(name, converted);
                    fields.GetValueOrDefault(name)?.SetValue(this, converted);
                }
                foreach (var (name, buffer) in named_buffers(false).ToList())
                {
                    if (!ReplaceBuffer(dtype, device, buffer, out var converted))
                        continue;
                    if (properties.TryGetValue(name, out var property))
                    {
                        property.SetValue(this, converted);
                        continue;
                    }
                    ConditionallyRegisterBuffer(name, converted);
                    fields.GetValueOrDefault(name)?.SetValue(this, converted);
                }
                if (device is not null)
                    (deviceType, deviceIndex) = (device.type, device.index);
            }

            /// <summary>Converts in place what a layer holds beside its registered tensors.</summary>
            private protected virtual void MoveNative(ScalarType? dtype, Device? device) { }

            /// <summary>The converted parameter with its gradient, outside of any dispose scope; false when nothing changes.</summary>
            protected static bool ReplaceParameter(ScalarType? dtype, Device? device, Parameter param, out Parameter? p)
            {
                p = null;
                using var grad = param.grad;
                if (!Differs(param, dtype ?? param.dtype, device ?? param.device)
                    && (grad is null || !Differs(grad, dtype ?? param.dtype, device ?? param.device)))
                    return false;

                var (toDtype, toDevice) = (Floating(param, dtype), device ?? param.device);
                using var gradientsOff = no_grad(); // the new tensor must be a leaf
                p = new Parameter(param.to(toDtype, toDevice), param.requires_grad);
                p.DetachFromDisposeScope();
                if (grad is not null)
                {
                    using var converted = grad.to(toDtype, toDevice).with_requires_grad(grad.requires_grad);
                    p.grad = converted;
                }
                return true;
            }

            /// <summary>The converted buffer, outside of any dispose scope, the old one disposed; false when nothing changes.</summary>
            protected static bool ReplaceBuffer(ScalarType? dtype, Device? device, Tensor buffer, out Tensor? result)
            {
                result = null;
                if (!Differs(buffer, dtype ?? buffer.dtype, device ?? buffer.device))
                    return false;
                result = buffer.to(Floating(buffer, dtype), device ?? buffer.device, disposeAfter: true).DetachFromDisposeScope();
                return true;
            }

            private static void Convert(Module module, ScalarType? dtype, Device? device, bool non_blocking)
            {
                if (device is null)
                    module._to(dtype!.Value, non_blocking);
                else if (dtype is null)
                    module._to(device.type, device.index, non_blocking);
                else
                    module._to(device, dtype.Value, non_blocking);
            }

            // Integer tensors keep their dtype.
            private static ScalarType Floating(Tensor tensor, ScalarType? dtype) =>
                dtype is { } target && IsFloating(tensor.dtype) ? target : tensor.dtype;

            private static bool Differs(Tensor tensor, ScalarType dtype, Device device) =>
                tensor.dtype != dtype || tensor.device.type != device.type || tensor.device.index != device.index;

            private static bool IsFloating(ScalarType dtype) => dtype is ScalarType.Float16 or ScalarType.BFloat16
                or ScalarType.Float32 or ScalarType.Float64 or ScalarType.ComplexFloat32 or ScalarType.ComplexFloat64;

            private static void RequireFloating(ScalarType dtype)
            {
                if (!IsFloating(dtype))
                    throw new ArgumentException($"nn.Module.to only accepts floating point or complex types, but got desired dtype={dtype}");
            }

            private static Device Reachable(DeviceType type, int index)
            {
                if (type == DeviceType.CUDA && !cuda.is_available())
                    throw new InvalidOperationException("CUDA is not available.");
                return new Device(type, type == DeviceType.CUDA ? index : -1);
            }
        }
    }
}
