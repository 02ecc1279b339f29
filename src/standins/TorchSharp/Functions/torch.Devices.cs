using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    private static ScalarType _defaultType = ScalarType.Float32;
    private static Device? _defaultDevice;

    /// <summary>The version of libtorch, as a package's four numbers.</summary>
    public static string __version__ => Native.Version + ".0";

    /// <summary>The device for tensors made without one; throws when this machine has no such device.</summary>
    public static Device InitializeDevice(Device? device)
    {
        Device chosen = device ?? get_default_device();
        InitializeDeviceType(chosen.type);
        return chosen;
    }

    public static void InitializeDeviceType(DeviceType deviceType)
    {
        if (!TryInitializeDeviceType(deviceType))
        {
            throw new InvalidOperationException($"Torch device type {deviceType} did not initialise on the current machine.");
        }
    }

    public static bool TryInitializeDeviceType(DeviceType deviceType) => deviceType switch
    {
        DeviceType.CUDA => cuda.is_available(),
        DeviceType.MPS => false,
        _ => true,
    };

    public static bool cuda_is_available() => cuda.is_available();

    public static bool mps_is_available() => false;

    public static ScalarType get_default_dtype() => _defaultType;

    public static void set_default_dtype(ScalarType dtype) => _defaultType = is_floating_point(dtype)
        ? dtype
        : throw new ArgumentException("only floating-point types are supported as the default type");

    public static Device get_default_device() => _defaultDevice ?? CPU;

    public static void set_default_device(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        _defaultDevice = device;
    }

    public static void set_default_device(string device) => set_default_device(new Device(device));

    /// <summary>Threads inside one operator.</summary>
    public static int get_num_threads() => Native.binding_num_threads();

    public static void set_num_threads(int num) => Native.Check(Native.binding_set_num_threads(num));

    /// <summary>Threads that run operators beside each other.</summary>
    public static int get_num_interop_threads() => Native.binding_num_interop_threads();

    public static void set_num_interop_threads(int num) => Native.Check(Native.binding_set_num_interop_threads(num));

    /// <summary>NVIDIA cards (and, on a ROCm libtorch, AMD's).</summary>
    public static partial class cuda
    {
        public static bool is_available() => device_count() > 0;

        public static bool is_cudnn_available() => Native.binding_cudnn_is_available() != 0;

        public static int device_count() => Native.binding_cuda_device_count();

        public static void manual_seed(long seed) => Native.Check(Native.binding_cuda_seed((ulong)seed, 0));

        public static void manual_seed_all(long seed) => Native.Check(Native.binding_cuda_seed((ulong)seed, 1));

        /// <summary>Waits until the card has done everything it was given.</summary>
        public static void synchronize(Device? device = null) =>
            Native.Check(Native.binding_cuda_synchronize(device?.index ?? -1));
    }

    /// <summary>Switches of the libraries underneath.</summary>
    public static partial class backends
    {
        public static partial class cuda
        {
            /// <summary>Whether attention without a fused kernel may be computed by its formula, on every device.</summary>
            public static bool math_sdp_enabled() => Switch(2);

            public static void enable_math_sdp(bool enable) => Switch(2, enable);

            public static partial class matmul
            {
                /// <summary>Lets float32 products on the card round their factors to 10 bits.</summary>
                public static bool allow_tf32
                {
                    get => Switch(0);
                    set => Switch(0, value);
                }
            }
        }

        public static partial class cudnn
        {
            public static bool allow_tf32
            {
                get => Switch(1);
                set => Switch(1, value);
            }
        }

        private static bool Switch(int which, bool? value = null) =>
            Native.Check(Native.binding_switch(which, value is { } wanted ? (wanted ? 1 : 0) : -1)) != 0;
    }
}
