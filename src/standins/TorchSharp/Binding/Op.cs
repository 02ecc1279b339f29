using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TorchSharp.Binding;

/// <summary>
/// A libtorch operator, found by its schema name at its first call. Trailing arguments that equal the schema's
/// defaults may be left out.
/// </summary>
internal sealed unsafe class Op(string name, string overload = "")
{
    private const int StackScratch = 512; // bytes: enough for the lists of nearly every call
    private const int MostResults = 8;

    private nint _handle;
    private bool? _exists;

    /// <summary>Whether the libtorch at hand has the operator.</summary>
    internal bool Exists => _exists ??= Native.binding_find("aten::" + name, overload) != 0;

    private nint Handle
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _handle != 0 ? _handle : Find();
    }

    /// <summary>Calls an operator of one tensor whose result is one tensor.</summary>
    internal Tensor Of(Tensor input)
    {
        Value value = new() { Kind = Kind.Tensor, Bits = input.Handle };
        nint result = Native.binding_call(Handle, &value, 1);
        GC.KeepAlive(input);
        return new Tensor(Native.Check(result));
    }

    /// <summary>Calls an operator of two tensors whose result is one tensor.</summary>
    internal Tensor Of(Tensor input, Tensor other)
    {
        Value* values = stackalloc Value[2];
        values[0] = new() { Kind = Kind.Tensor, Bits = input.Handle };
        values[1] = new() { Kind = Kind.Tensor, Bits = other.Handle };
        nint result = Native.binding_call(Handle, values, 2);
        GC.KeepAlive(input);
        GC.KeepAlive(other);
        return new Tensor(Native.Check(result));
    }

    /// <summary>Calls an operator whose result is one tensor.</summary>
    [SkipLocalsInit]
    internal Tensor Call(params ReadOnlySpan<Arg> arguments)
    {
        byte* scratch = stackalloc byte[StackScratch];
        Value* values = stackalloc Value[arguments.Length];
        void* extra = Write(arguments, values, scratch);
        nint result = Native.binding_call(Handle, values, arguments.Length);
        Done(arguments, extra);
        return new Tensor(Native.Check(result));
    }

    /// <summary>Calls an operator that changes its first argument, which it returns.</summary>
    [SkipLocalsInit]
    internal Tensor InPlace(Tensor input, params ReadOnlySpan<Arg> others)
    {
        byte* scratch = stackalloc byte[StackScratch];
        Value* values = stackalloc Value[others.Length + 1];
        values[0] = new() { Kind = Kind.Tensor, Bits = input.Handle };
        void* extra = Write(others, values + 1, scratch);
        int result = Native.binding_call_void(Handle, values, others.Length + 1);
        Done(others, extra);
        Native.Check(result);
        return input;
    }

    /// <summary>Calls an operator whose result is a list of tensors.</summary>
    internal Tensor[] CallList(params ReadOnlySpan<Arg> arguments)
    {
        Value result;
        CallValues(arguments, new Span<Value>(&result, 1));
        nint* handles = (nint*)result.Bits;
        Tensor[] tensors = new Tensor[result.Count];
        for (int i = 0; i < tensors.Length; i++)
        {
            tensors[i] = new Tensor(handles[i]);
        }

        Native.binding_free((nint)result.Bits);
        return tensors;
    }

    /// <summary>Calls an operator whose results are two tensors.</summary>
    internal (Tensor, Tensor) CallTwo(params ReadOnlySpan<Arg> arguments)
    {
        Span<Value> results = stackalloc Value[MostResults];
        CallValues(arguments, results);
        return (TensorOf(results[0]), TensorOf(results[1]));
    }

    /// <summary>Calls an operator whose results are three tensors.</summary>
    internal (Tensor, Tensor, Tensor) CallThree(params ReadOnlySpan<Arg> arguments)
    {
        Span<Value> results = stackalloc Value[MostResults];
        CallValues(arguments, results);
        return (TensorOf(results[0]), TensorOf(results[1]), TensorOf(results[2]));
    }

    /// <summary>Calls an operator whose result is a number, a truth value or nothing.</summary>
    internal Value CallValue(params ReadOnlySpan<Arg> arguments)
    {
        Value result = default;
        CallValues(arguments, new Span<Value>(&result, 1));
        return result;
    }

    [SkipLocalsInit]
    private int CallValues(ReadOnlySpan<Arg> arguments, Span<Value> results)
    {
        byte* scratch = stackalloc byte[StackScratch];
        Value* values = stackalloc Value[arguments.Length];
        void* extra = Write(arguments, values, scratch);
        int count;
        fixed (Value* first = results)
        {
            count = Native.binding_call_values(Handle, values, arguments.Length, first, results.Length);
        }

        Done(arguments, extra);
        return Native.Check(count);
    }

    private static Tensor TensorOf(in Value value) => new((nint)value.Bits);

    /// <summary>Writes the arguments; returns memory to free when the lists did not fit the stack.</summary>
    private static void* Write(ReadOnlySpan<Arg> arguments, Value* values, byte* scratch)
    {
        int needed = 0;
        foreach (ref readonly Arg argument in arguments)
        {
            needed += argument.ScratchBytes;
        }

        void* extra = needed > StackScratch ? NativeMemory.Alloc((nuint)needed) : null;
        byte* free = extra == null ? scratch : (byte*)extra;
        try
        {
            for (int i = 0; i < arguments.Length; i++)
            {
                arguments[i].Write(values + i, ref free);
            }
        }
        catch
        {
            NativeMemory.Free(extra); // a null or disposed tensor in a long list
            throw;
        }

        return extra;
    }

    /// <summary>After the native call: until here no argument may be collected.</summary>
    private static void Done(ReadOnlySpan<Arg> arguments, void* extra)
    {
        foreach (ref readonly Arg argument in arguments)
        {
            GC.KeepAlive(argument.Owner);
        }

        if (extra != null)
        {
            NativeMemory.Free(extra);
        }
    }

    private nint Find()
    {
        nint handle = Native.Check(Native.binding_find("aten::" + name, overload));
        _handle = handle; // two threads may both find it: the same operator, a few bytes lost once
        return handle;
    }
}
