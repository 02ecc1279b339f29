using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp.Binding;
using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    // The elements, as .NET values.
    public partial class Tensor
    {
        /// <summary>The elements as bytes in place: a contiguous CPU tensor of less than 2 GiB.</summary>
        public unsafe Span<byte> bytes
        {
            get
            {
                long length = NumberOfElements * ElementSize;
                ValidateBytes();
                if (length > int.MaxValue)
                {
                    throw new ArgumentException("Span only supports up to int.MaxValue elements.");
                }

                return new Span<byte>(Data, (int)length);
            }

            set
            {
                ValidateBytes();
                if (value.Length != NumberOfElements * ElementSize)
                {
                    throw new ArgumentException("Mismatched data sizes in SetBytes().");
                }

                value.CopyTo(new Span<byte>(Data, value.Length));
            }
        }

        /// <summary>The address of the first element.</summary>
        internal unsafe void* Data
        {
            get
            {
                int failed;
                nint address = Read(Native.binding_data(Handle, &failed));
                return failed == 0 ? (void*)address : throw Native.Error();
            }
        }

        /// <summary>The elements as values of their .NET type; of a copy when the tensor is not on the CPU.</summary>
        public TensorAccessor<T> data<T>()
            where T : unmanaged
        {
            ValidateType(typeof(T));
            return new TensorAccessor<T>(is_cpu() ? this : cpu());
        }

        /// <summary>The only element.</summary>
        public unsafe T item<T>()
            where T : unmanaged
        {
            if (NumberOfElements != 1)
            {
                throw new ArgumentException("Number of elements in the tensor must be 1");
            }

            ValidateType(typeof(T));
            if (is_cpu())
            {
                return Read(*(T*)Data);
            }

            using Tensor here = cpu();
            return *(T*)here.Data;
        }

        /// <summary>The only element as a number with a type.</summary>
        public Scalar ToScalar()
        {
            Value value = Ops.item.CallValue(this);
            switch (value.Kind)
            {
                case Kind.Int:
                    return new Scalar(value.Bits);
                case Kind.Bool:
                    return new Scalar(value.Bits != 0);
                case Kind.Double:
                    return new Scalar(BitConverter.Int64BitsToDouble(value.Bits));
                default:
                    Complex complex = Marshal.PtrToStructure<Complex>((nint)value.Bits);
                    Native.binding_free((nint)value.Bits);
                    return new Scalar(complex);
            }
        }

        public T ReadCpuValue<T>(long i)
            where T : unmanaged => TensorAccessor<T>.ReadItemAt(this, i);

        public bool ReadCpuBool(long i) => ReadCpuValue<bool>(i);

        public byte ReadCpuByte(long i) => ReadCpuValue<byte>(i);

        public sbyte ReadCpuSByte(long i) => ReadCpuValue<sbyte>(i);

        public short ReadCpuInt16(long i) => ReadCpuValue<short>(i);

        public int ReadCpuInt32(long i) => ReadCpuValue<int>(i);

        public long ReadCpuInt64(long i) => ReadCpuValue<long>(i);

        public float ReadCpuSingle(long i) => ReadCpuValue<float>(i);

        public double ReadCpuDouble(long i) => ReadCpuValue<double>(i);

        public unsafe float ReadCpuFloat16(long i) => (float)((Half*)ElementAt(i))[i];

        public unsafe float ReadCpuBFloat16(long i) =>
            BitConverter.Int32BitsToSingle(((ushort*)ElementAt(i))[i] << 16); // a bfloat16 is a float32's upper half

        /// <summary>Writes the elements' bytes, however many there are.</summary>
        public unsafe void WriteBytesToStream(Stream stream, int bufferSize = 1024)
        {
            ValidateBytes();
            byte* next = (byte*)Data;
            for (long left = NumberOfElements * ElementSize; left > 0; left -= bufferSize, next += bufferSize)
            {
                stream.Write(new ReadOnlySpan<byte>(next, (int)Math.Min(left, bufferSize)));
            }

            GC.KeepAlive(this);
        }

        /// <summary>Reads the elements' bytes, however many there are.</summary>
        public unsafe void ReadBytesFromStream(Stream stream, int bufferSize = 1024)
        {
            ValidateBytes();
            byte* next = (byte*)Data;
            for (long left = NumberOfElements * ElementSize; left > 0; left -= bufferSize, next += bufferSize)
            {
                stream.ReadExactly(new Span<byte>(next, (int)Math.Min(left, bufferSize)));
            }

            GC.KeepAlive(this);
        }

        /// <summary>Throws when elements of this tensor are not of the .NET type.</summary>
        internal void ValidateType(Type type)
        {
            Type? wanted = dtype switch
            {
                ScalarType.Byte => typeof(byte),
                ScalarType.Int8 => typeof(sbyte),
                ScalarType.Int16 => typeof(short),
                ScalarType.Int32 => typeof(int),
                ScalarType.Int64 => typeof(long),
                ScalarType.Bool => typeof(bool),
                ScalarType.Float16 => typeof(Half),
                ScalarType.Float32 => typeof(float),
                ScalarType.Float64 => typeof(double),
                ScalarType.ComplexFloat32 => typeof((float, float)),
                ScalarType.ComplexFloat64 => typeof(Complex),
                _ => throw new ArgumentException($"No support for {dtype} in TorchSharp"),
            };
            if (type != wanted)
            {
                throw new ArgumentException($"{type.Name} is not compatible with {dtype}");
            }
        }

        private unsafe void* ElementAt(long index) => index >= 0 && index < NumberOfElements
            ? Data
            : throw new IndexOutOfRangeException("The index is greater than the number of elements in the tensor");

        private void ValidateBytes()
        {
            if (!is_contiguous())
            {
                throw new InvalidOperationException("Bytes() called on non-contiguous tensor.");
            }

            if (!is_cpu())
            {
                throw new InvalidOperationException(
                    "Reading data from non-CPU memory is not supported. Move or copy the tensor to the cpu before reading.");
            }
        }
    }
}
