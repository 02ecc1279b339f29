using System.Diagnostics;
using TorchSharp;

// Prints one number: nanoseconds of a 4x4 add ("add"), or GFLOP/s of a 2048x2048 float32 product ("matmul").
// ops.py does the same through PyTorch. The best of many short rounds is what the machine can do undisturbed.
string what = args.Length > 0 ? args[0] : "add";
using IDisposable noGradients = torch.no_grad();
torch.manual_seed(0);
Console.WriteLine(what switch
{
    "add" => Best(500, NanosecondsOfAdd).ToString("F0"),
    "matmul" => (1 / Best(15, NanosecondsPerFlop)).ToString("F1"),
    _ => throw new ArgumentException($"{what} is neither add nor matmul"),
});

static double Best(int rounds, Func<double> measure) => Enumerable.Range(0, rounds).Select(_ => measure()).Min();

static double NanosecondsOfAdd()
{
    const int Scopes = 40;
    const int OpsPerScope = 50; // about a decoder block
    using torch.Tensor a = torch.randn(4, 4);
    using torch.Tensor b = torch.randn(4, 4);
    Stopwatch clock = Stopwatch.StartNew();
    for (int i = 0; i < Scopes; i++)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        for (int j = 0; j < OpsPerScope; j++)
        {
            _ = a + b;
        }
    }

    return clock.Elapsed.TotalNanoseconds / (Scopes * OpsPerScope);
}

static double NanosecondsPerFlop()
{
    const int Size = 2048;
    using torch.Tensor a = torch.randn(Size, Size);
    using torch.Tensor b = torch.randn(Size, Size);
    Stopwatch clock = Stopwatch.StartNew();
    using torch.Tensor product = a.matmul(b);
    return clock.Elapsed.TotalNanoseconds / (2.0 * Size * Size * Size);
}
