using CutoffLen.Common;
using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>
/// Newly drawn weights as Hugging Face's LlamaPreTrainedModel draws them: matrices normal with standard deviation
/// <see cref="LlamaConfig.InitializerRange"/>, norms one, biases zero.
/// </summary>
public static class InitialWeights
{
    /// <summary>Every parameter in float32 on the CPU, in the current scope; the same for the same seed, whatever the dtype they are stored in.</summary>
    public static IEnumerable<(string Name, Tensor Tensor)> Draw(LlamaConfig config, long seed) =>
        LlamaParameters.Of(config).Select((parameter, number) => (parameter.Name, First(config, parameter.Name, parameter.Shape, seed, number)));

    private static Tensor First(LlamaConfig config, string name, long[] shape, long seed, int number)
    {
        if (shape.Length == 1)
        {
            return name.EndsWith(".bias", StringComparison.Ordinal) ? zeros(shape) : ones(shape);
        }

        using var generator = new Generator(new KeyedRandom(seed, "initial-weights", number).NextBits() >> 1);
        return randn(shape, ScalarType.Float32, generator: generator).mul_(config.InitializerRange);
    }
}
