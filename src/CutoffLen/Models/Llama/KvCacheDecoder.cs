using CutoffLen.Models.Attention;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>
/// KV-cache decoding of one growing row: keys and values of earlier tokens are kept. The hidden states equal those of a
/// full forward pass, under every method. Length-dependent methods (dynamic NTK) change the keys of all earlier tokens, so
/// the cache is dropped and the row recomputed.
/// </summary>
public sealed class KvCacheDecoder(LlamaForCausalLM model, LayerPlan layers, int capacity) : IDisposable
{
    private readonly KvCache cache = new(model, 1, capacity);
    private AttentionPlans? tables;
    private int cachedAt; // the length of the row in which the cached tokens were computed

    /// <summary>
    /// The hidden states [n, C], after the final norm, of the last <paramref name="last"/> of these tokens. The tokens begin
    /// with those given before, except what <see cref="Rewind"/> removed.
    /// </summary>
    public Tensor Hidden(ReadOnlySpan<int> tokens, int last = 1)
    {
        using var scope = NewDisposeScope();
        if (!Serves(tokens.Length))
        {
            tables?.Dispose();
            tables = AttentionPlans.Create(
                layers, TokenPositions.Sequential(layers.DependsOnLength ? tokens.Length : capacity), model.Config, model.Device);
        }

        // The cache has no hidden states, so tokens whose hidden states are wanted are computed again.
        cache.Rewind(layers.SameAt(cachedAt, tokens.Length) ? Math.Min(cache.Length, tokens.Length - last) : 0);
        cachedAt = tokens.Length;
        var cached = cache.Length;
        using var window = tables!.Window(cached, tokens.Length);
        var added = tensor(tokens[cached..].ToArray(), ScalarType.Int64).view(1, -1).to(model.Device); // [1, n]
        return model.Hidden(added, window, cache)[0].narrow(0, tokens.Length - cached - last, last).MoveToOuterDisposeScope();
    }

    /// <summary>Forgets all but the first <paramref name="length"/> tokens, so that another continuation can follow them.</summary>
    public void Rewind(int length) => cache.Rewind(Math.Min(length, cache.Length));

    /// <inheritdoc/>
    public void Dispose()
    {
        tables?.Dispose();
        cache.Dispose();
    }

    private bool Serves(int length) => tables is not null && (layers.DependsOnLength ? tables.Length == length : tables.Length >= length);
}

/// <summary>
/// The KV cache: keys and values of earlier tokens, for decoding. Keys are kept as projected, before any position encoding.
/// So decoding stays exact under methods whose frequencies depend on the length.
/// </summary>
public sealed class KvCache : IDisposable
{
    private readonly LayerCache[] layers;

    /// <summary>An empty cache for rows of at most <paramref name="capacity"/> tokens.</summary>
    public KvCache(LlamaForCausalLM model, int batch, int capacity)
    {
        var config = model.Config;
        layers = [.. Enumerable.Range(0, config.NumHiddenLayers).Select(_ => new LayerCache(
            [batch, config.NumKeyValueHeads, capacity, config.HeadDim], model.Dtype, model.Device))];
    }

    /// <summary>Tokens in the cache.</summary>
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

/// <summary>One layer's part of a <see cref="KvCache"/>.</summary>
internal sealed class LayerCache(long[] shape, ScalarType dtype, Device device) : IDisposable
{
    private readonly Tensor keys = empty(shape, dtype, device).DetachFromDisposeScope(); // [B, K, capacity, D]
    private readonly Tensor values = empty(shape, dtype, device).DetachFromDisposeScope();

    public int Length { get; private set; }

    /// <summary>Adds [B, K, n, D] and returns all tokens so far, [B, K, T, D].</summary>
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
