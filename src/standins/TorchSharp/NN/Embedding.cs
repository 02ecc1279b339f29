using System.Runtime.InteropServices;
using TorchSharp.Binding;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>Rows of a table [rows, columns] by their numbers.</summary>
    public sealed class Embedding : nn.Module<Tensor, Tensor>
    {
        private static readonly Op Lookup = new("embedding"), Renormalize = new("embedding_renorm_"), SetData = new("set_data");

        private readonly EmbeddingOptions options;

        // Conversions change the tensor that the module was made with in place, so that whoever holds it sees them.
        private (Tensor Initial, Tensor Current) table;

        internal Embedding(long rows, long columns, EmbeddingOptions options)
            : base(nameof(Embedding))
        {
            this.options = options with { Padding = RowOf(options.Padding, rows) };
            var parameter = new Parameter(empty(rows, columns, dtype: ScalarType.Float32, device: CPU));
            parameter.DetachFromDisposeScope();
            nn.init.normal_(parameter);
            if (this.options.Padding is { } padding)
            {
                using var row = parameter[padding];
                nn.init.zeros_(row);
            }
            register_parameter(nameof(weight), parameter);
            table = (Share(parameter).DetachFromDisposeScope(), Share(parameter).DetachFromDisposeScope());
        }

        /// <summary>Each read gives a new object on the same data.</summary>
        public Parameter? weight
        {
            get => Share(table.Current);
            set
            {
                ArgumentNullException.ThrowIfNull(value, nameof(weight));
                table.Current.Dispose();
                table.Current = Share(value).DetachFromDisposeScope();
                ConditionallyRegisterParameter(nameof(weight), value);
            }
        }

        public override Tensor forward(Tensor input)
        {
            if (options.MaxNorm is { } maxNorm)
            {
                using var gradientsOff = no_grad();
                Renormalize.InPlace(table.Current, input.contiguous(), maxNorm, options.NormType);
            }
            return Lookup.Call(table.Current, input, options.Padding ?? -1, options.ScaleByFrequency, options.Sparse);
        }

        private protected override void MoveNative(ScalarType? dtype, Device? device)
        {
            using var gradientsOff = no_grad();
            using var moved = table.Initial.to(dtype ?? table.Initial.dtype, device ?? table.Initial.device);
            SetData.CallValue(table.Initial, moved);
        }

        private protected override void DisposeNative()
        {
            table.Initial.Dispose();
            table.Current.Dispose();
        }

        private static Parameter Share(Tensor tensor) => new(Native.Check(Native.binding_alias(tensor.Handle)));

        private static long? RowOf(long? padding, long rows)
        {
            if (padding >= rows || padding < -rows)
                throw new ExternalException("Padding_idx must be within num_embeddings");
            return padding < 0 ? padding + rows : padding;
        }
    }

    /// <summary>What an embedding does beside looking rows up.</summary>
    /// <param name="Padding">The row that starts at zero and gets no gradient.</param>
    /// <param name="MaxNorm">The greatest norm of a row that is looked up; greater ones are scaled down in the table.</param>
    /// <param name="NormType">The p of that norm.</param>
    /// <param name="ScaleByFrequency">Whether a row's gradient is divided by how often it was looked up.</param>
    /// <param name="Sparse">Whether the table's gradient is a sparse tensor.</param>
    internal sealed record EmbeddingOptions(long? Padding, double? MaxNorm, double NormType, bool ScaleByFrequency, bool Sparse);
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static Embedding Embedding(
                long num_embeddings, long embedding_dims, long? padding_idx = null, double? max_norm = null, double norm_type = 2,
                bool scale_grad_by_freq = false, bool sparse = false, Device? device = null, ScalarType? dtype = null)
            {
                var options = new EmbeddingOptions(padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse);
                var embedding = new Embedding(num_embeddings, embedding_dims, options);
                return (device, dtype) switch
                {
                    (null, null) => embedding,
                    (null, { } type) => embedding.to(type),
                    ({ } place, null) => embedding.to(place),
                    ({ } place, { } type) => embedding.to(place, type),
                };
            }
        }
    }
}
