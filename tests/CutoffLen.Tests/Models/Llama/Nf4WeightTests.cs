using CutoffLen.Models.Llama;
using CutoffLen.Runs.Check;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Llama;

/// <summary>4-bit NormalFloat against bitsandbytes' published numbers and plain arithmetic.</summary>
public sealed class Nf4WeightTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void The_code_book_is_the_published_one_and_made_of_normal_quantiles()
    {
        // Blocks whose largest magnitude is 1 come back as they are where every number is in the code book.
        var values = Enumerable.Range(0, 8 * 64).Select(n => PlainNf4.CodeBook[(n * 5) % 16]).ToArray();
        Assert.Equal(values, Back(tensor(values).view(8, 64)));

        // create_normal_map: 8 quantiles above the median, 7 below it, and 0; divided by the largest.
        var above = Enumerable.Range(0, 8).Select(k => Quantile(0.9677083 + ((0.5 - 0.9677083) * k / 8)));
        var below = Enumerable.Range(0, 7).Select(k => -Quantile(0.9677083 + ((0.5 - 0.9677083) * k / 7)));
        double[] quantiles = [.. above.Concat(below).Append(0).Order()];
        Assert.Equal(quantiles.Select(q => q / quantiles.Max()), PlainNf4.CodeBook.Select(code => (double)code), (a, b) => Math.Abs(a - b) < 1e-6);
    }

    [Fact]
    public void Numbers_are_those_of_plain_arithmetic_and_near_the_weights()
    {
        // More than one piece of the kernel, and a last block of scales that is not full.
        var weight = randn([530, 512], generator: new Generator(1)).mul_(rand([530, 1], generator: new Generator(2))).contiguous();
        var values = weight.data<float>().ToArray();
        var plain = PlainNf4.Quantize(values, 64, nested: true);
        var numbers = Back(weight);
        Assert.Equal(plain.Dequantize(64), numbers, (a, b) => Math.Abs(a - b) <= 1e-6); // sums of the mean differ in their last bits

        // Half of the widest gap of the code book, and of the scales' code book.
        Assert.All(
            Enumerable.Range(0, values.Length),
            n => Assert.InRange(Math.Abs(values[n] - numbers[n]), 0, (0.1520 * plain.Absmax[n / 64]) + (0.0071 * plain.Nested!.Absmax[n / 64 / 256])));
    }

    [Fact]
    public void Numbers_are_rounded_to_the_weights_dtype()
    {
        var weight = randn([64, 64], generator: new Generator(1)).to(ScalarType.BFloat16);
        var values = PlainNf4.Quantize(weight.to(ScalarType.Float32).data<float>().ToArray(), 64, nested: true).Dequantize(64);
        using var quantized = Nf4Weight.Quantize(weight);
        var back = quantized.Dequantized();
        Assert.Equal(ScalarType.BFloat16, back.dtype);
        Assert.Equal(tensor(values).to(ScalarType.BFloat16).view(64, 64).to(ScalarType.Float32).data<float>(), back.to(ScalarType.Float32).data<float>(), (a, b) => Math.Abs(a - b) <= 0.008 * Math.Abs(a));
        Assert.True((tensor(values).view(64, 64) - back).abs().max().item<float>() > 1e-4f);
    }

    [Fact]
    public void Blocks_of_zeros_stay_zeros()
    {
        var weight = randn([4, 64], generator: new Generator(1));
        weight[1].zero_();
        Assert.All(Back(weight)[64..128], value => Assert.Equal(0, value));
        Assert.All(Back(zeros(2, 64)), value => Assert.Equal(0, value));
    }

    private static float[] Back(Tensor weight)
    {
        using var quantized = Nf4Weight.Quantize(weight);
        return [.. quantized.Dequantized().data<float>()];
    }

    /// <summary>The quantile of the standard normal distribution, by bisection of its series (Marsaglia 2004).</summary>
    private static double Quantile(double share)
    {
        var (low, high) = (0.0, 5.0);
        for (var n = 0; n < 60; n++)
        {
            var middle = (low + high) / 2;
            (low, high) = Below(middle) < share ? (middle, high) : (low, middle);
        }

        return low;

        static double Below(double x)
        {
            var (sum, term) = (x, x);
            for (var k = 3; k < 200; k += 2)
            {
                sum += term *= x * x / k;
            }

            return 0.5 + (sum * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI));
        }
    }
}
