using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>
/// The keys and values of tokens already seen, for decoding. They are kept as projected, before any position
/// encoding, so that a method whose frequencies depend on the length stays exact: decoding token by token gives
/// what a full forward gives.
/// </summary>
public sealed class KeyValueCache : IDisposable
{
    private readonly LayerCache[] layers;

    /// <summary>An empty cache for rows of at most <paramref name="capacity"/> tokens.</summary>
    public KeyValueCache(LlamaForCausalLM model, int batch, int capacity)
    {
        var config = model.Config;
        layers = [.. Enumerable.Range(0, config.NumHiddenLayers).Select(_ => new LayerCache(
            [batch, config.NumKeyValueHeads, capacity, config.HeadDim], model.Dtype, model.Device))];
        Capacity = capacity;
    }

    /// <summary>The most tokens a row may have.</summary>
    public int Capacity { get; }

    /// <summary>Tokens seen so far.</summary>
    public int Length => layers[0].Length;

    internal LayerCache this[int layer] => layers[layer];

    /// <summary>Forgets all but the first <paramref name="length"/> tokens, so that another continuation can follow them.</summary>
    public void Rewind(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        foreach (var layer in layers)
        {
            layer.Rewind(length);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in layers)
        {
            layer.Dispose();
        }
    }
}

/// <summary>One layer's part of a <see cref="KeyValueCache"/>.</summary>
internal sealed class LayerCache(long[] shape, ScalarType dtype, Device device) : IDisposable
{
    private readonly Tensor keys = empty(shape, dtype, device).DetachFromDisposeScope(); // [B, K, capacity, D]
    private readonly Tensor values = empty(shape, dtype, device).DetachFromDisposeScope();

    public int Length { get; private set; }

    /// <summary>Adds [B, K, n, D] and gives all so far, [B, K, T, D].</summary>
    public (Tensor Keys, Tensor Values) Append(Tensor newKeys, Tensor newValues)
    {
        var count = newKeys.shape[2];
        keys.narrow(2, Length, count).copy_(newKeys);
        values.narrow(2, Length, count).copy_(newValues);
        Length += (int)count;
        return (keys.narrow(2, 0, Length), values.narrow(2, 0, Length));
    }

    public void Rewind(int length) => Length = length;

    public void Dispose()
    {
        keys.Dispose();
        values.Dispose();
    }
}
