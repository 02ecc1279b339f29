using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Seeds the generators of every device; the CPU's is returned.</summary>
    public static Generator manual_seed(long seed) => random.manual_seed(seed);

    public static long seed() => random.seed();

    public static long initial_seed() => random.initial_seed();

    public static Tensor get_rng_state() => random.get_rng_state();

    public static void set_rng_state(Tensor new_state) => random.set_rng_state(new_state);

    /// <summary>The CPU's default generator.</summary>
    public static partial class random
    {
        public static Generator manual_seed(long seed)
        {
            Native.Check(Native.binding_manual_seed((ulong)seed));
            return Generator.Default;
        }

        public static long seed()
        {
            using Generator generator = Generator.Default;
            return generator.seed();
        }

        public static long initial_seed()
        {
            using Generator generator = Generator.Default;
            return generator.initial_seed();
        }

        public static Tensor get_rng_state()
        {
            using Generator generator = Generator.Default;
            return generator.get_state();
        }

        public static void set_rng_state(Tensor new_state)
        {
            using Generator generator = Generator.Default;
            generator.set_state(new_state);
        }
    }

    /// <summary>A source of random numbers on the CPU, with a state that can be read and set.</summary>
    public class Generator : IDisposable
    {
        private nint _handle;

        public Generator(ulong seed = 0, Device? device = null)
            : this(Native.Check(Native.binding_new_generator(seed))) => this.device = device ?? CPU;

        internal Generator(nint handle) => _handle = handle;

        ~Generator() => Dispose(false);

        /// <summary>The generator that is used when none is named.</summary>
        public static Generator Default => new(Native.Check(Native.binding_default_generator()));

        public nint Handle => _handle != 0 ? _handle : throw new InvalidOperationException("Generator invalid -- empty handle.");

        public Device device { get; } = CPU;

        public Generator manual_seed(long seed)
        {
            Native.Check(Native.binding_generator_seed(Handle, (ulong)seed));
            return this;
        }

        /// <summary>Seeds the generator with something unpredictable, which is returned.</summary>
        public long seed() => (long)Native.binding_generator_random_seed(Handle);

        public long initial_seed() => (long)Native.binding_generator_initial_seed(Handle);

        public Tensor get_state() => new(Native.Check(Native.binding_generator_state(Handle)));

        public void set_state(Tensor value)
        {
            Native.Check(Native.binding_set_generator_state(Handle, value.Handle));
            GC.KeepAlive(value);
        }

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            if (_handle != 0)
            {
                Native.binding_release_generator(_handle);
                _handle = 0;
            }
        }
    }
}
